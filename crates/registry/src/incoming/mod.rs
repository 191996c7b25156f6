//! From the documents that operators send to records: every rule of an enrollment.
//!
//! A PUT replaces the whole record, but for what the service itself keeps from its readers: symmetric keys left out, certificates of
//! which only the `info` is sent back, and a webhook's masked URL stay as they were.

mod allocation;
mod attestation;
mod certificates;
mod json;
mod references;

use usher_domain::{
    DeviceId, EnrollmentGroupId, ErrorCode, RegistrationId, ServiceError, Timestamp,
    ca_certificate::CaCertificate,
    document::EnrollmentDocument,
    enrollment::{Enrollment, Subject},
    initial_twin,
    limits::{NESTING_MAX, nests_within_limit},
    service::ProvisioningService,
};

use usher_records::Versioned;

pub use json::{bulk_from_json, document_from_json};

use crate::kind::{Kind, id_of};

/// What a document is read against.
pub(crate) struct Incoming<'a> {
    pub kind: Kind,
    pub service: &'a ProvisioningService,
    /// The record that is replaced.
    pub old: Option<&'a Enrollment>,
    /// The CA certificates that it may refer to.
    pub uploaded: &'a [Versioned<CaCertificate>],
    pub now: Timestamp,
}

impl Incoming<'_> {
    /// The record that a document means.
    pub fn read(&self, path_id: &str, document: &EnrollmentDocument) -> Result<Enrollment, ServiceError> {
        self.same_id(path_id, document)?;
        let attestation = document.attestation.as_ref().ok_or_else(|| invalid("An enrollment must have an attestation."))?;
        let (hubs, iot_hub_host_name) = self.hubs(document)?;
        Ok(Enrollment {
            subject: self.subject(path_id, document)?,
            attestation: self.attestation(attestation)?,
            status: document.provisioning_status.unwrap_or_default(),
            reprovision: document.reprovision_policy,
            allocation: self.allocation(document, &hubs, iot_hub_host_name.as_ref())?,
            hubs,
            iot_hub_host_name,
            initial_twin: document.initial_twin.as_ref().map(initial_twin::read).transpose()?,
            credential_policy: given(&document.credential_policy_name).map(str::to_owned),
            iot_edge: document.capabilities.as_ref().is_some_and(|capabilities| capabilities.iot_edge),
            created_at: self.old.map_or(self.now, |old| old.created_at),
            updated_at: self.now,
        })
    }

    fn same_id(&self, path_id: &str, document: &EnrollmentDocument) -> Result<(), ServiceError> {
        match self.kind.id_in(document) {
            Some(id) if !id.eq_ignore_ascii_case(path_id) => {
                let why = format!("The body's {} is not the ID in the path.", self.kind.id_member());
                Err(ServiceError::with(ErrorCode::InvalidId, why))
            }
            _ => Ok(()),
        }
    }

    /// The ID keeps the spelling in which it was first written.
    fn subject(&self, path_id: &str, document: &EnrollmentDocument) -> Result<Subject, ServiceError> {
        let id = self.old.map(id_of).or(self.kind.id_in(document)).unwrap_or(path_id);
        let wrong = |why: usher_domain::ids::InvalidId| ServiceError::with(ErrorCode::InvalidId, why.to_string());
        match self.kind {
            Kind::Group => Ok(Subject::Group { group_id: EnrollmentGroupId::parse(id).map_err(wrong)? }),
            Kind::Individual if !document.optional_device_information.as_ref().is_none_or(nests_within_limit) => {
                Err(invalid(format!("optionalDeviceInformation nests deeper than {NESTING_MAX} levels.")))
            }
            Kind::Individual => Ok(Subject::Individual {
                registration_id: RegistrationId::parse(id).map_err(wrong)?,
                device_id: given(&document.device_id).map(DeviceId::parse).transpose().map_err(wrong)?,
                device_information: document.optional_device_information.clone(),
            }),
        }
    }
}

/// A text member that says something: forms and SDKs send empty ones for none.
fn given(member: &Option<String>) -> Option<&str> {
    member.as_deref().filter(|text| !text.is_empty())
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(ErrorCode::InvalidBody, why)
}
