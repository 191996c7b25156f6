//! The two kinds of enrollments, which share one shape and most rules.

use usher_domain::{
    EnrollmentGroupId, ErrorCode, RegistrationId, ServiceError,
    document::EnrollmentDocument,
    enrollment::{Enrollment, Subject},
};
use usher_store::Space;

use crate::spaces;

/// Which kind of enrollment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// For one device.
    Individual,
    /// For every device that the attestation admits.
    Group,
}

impl Kind {
    /// How the kind is called in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Individual => "individual enrollment",
            Self::Group => "enrollment group",
        }
    }

    /// The member that holds the ID.
    pub fn id_member(self) -> &'static str {
        match self {
            Self::Individual => "registrationId",
            Self::Group => "enrollmentGroupId",
        }
    }

    /// Checks an ID that a client gave and folds it for look-up.
    pub(crate) fn fold(self, id: &str) -> Result<String, ServiceError> {
        let folded = match self {
            Self::Individual => RegistrationId::parse(id).map(|id| id.folded()),
            Self::Group => EnrollmentGroupId::parse(id).map(|id| id.folded()),
        };
        folded.map_err(|why| ServiceError::with(ErrorCode::InvalidId, why.to_string()))
    }

    /// The ID in a document.
    pub(crate) fn id_in(self, document: &EnrollmentDocument) -> Option<&str> {
        match self {
            Self::Individual => document.registration_id.as_deref(),
            Self::Group => document.enrollment_group_id.as_deref(),
        }
    }

    pub(crate) fn space(self) -> Space {
        match self {
            Self::Individual => spaces::INDIVIDUAL,
            Self::Group => spaces::GROUP,
        }
    }
}

/// The ID of an enrollment as it was first spelled.
pub(crate) fn id_of(enrollment: &Enrollment) -> &str {
    match &enrollment.subject {
        Subject::Individual { registration_id, .. } => registration_id.as_str(),
        Subject::Group { group_id } => group_id.as_str(),
    }
}
