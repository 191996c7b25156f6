//! Deleting enrollments.

use usher_domain::{
    ServiceError, Timestamp,
    document::RegistrationStateDocument,
    enrollment::{Enrollment, Subject},
};
use usher_records::RecordError;
use usher_store::{Expect, Op};

use crate::{Registry, change::CONFLICTS_MAX, etag::IfMatch, fault::service_error, kind::Kind, outgoing};

impl Registry {
    /// Deletes an enrollment; metered in the same commit.
    ///
    /// Registrations stay, for groups as the cloud has it (MicrosoftDocs/azure-docs: articles/iot-dps/how-to-unprovision-devices.md:
    /// "Deleting an enrollment group doesn't delete the registration records"), and for individual enrollments likewise: the record
    /// says on which hub a device is, so that the device is moved and not doubled when another enrollment admits it later. They are
    /// deleted one by one through the registrations themselves.
    pub async fn delete_enrollment(&self, kind: Kind, id: &str, if_match: IfMatch, now: Timestamp) -> Result<(), ServiceError> {
        self.remove(kind, id, if_match, vec![self.meter(now)]).await
    }

    pub(crate) async fn remove(&self, kind: Kind, id: &str, if_match: IfMatch, also: Vec<Op>) -> Result<(), ServiceError> {
        let mut tries = 0;
        loop {
            let found = self.existing(kind, id).await?;
            if_match.check(Some(found.etag))?;
            let mut ops = vec![Op::Delete { key: self.vault.key(kind.space(), id), expect: Expect::Etag(found.etag) }];
            ops.extend(self.reference_ops(kind, Some(&found.value), None).await?);
            if kind == Kind::Group {
                ops.extend(self.signer_ops(Some(&found.value), None).await?);
                ops.extend(self.symmetric_ops(Some(&found.value), None).await?);
            }
            ops.extend(also.iter().cloned());
            ops.extend(self.release(&found.value));
            tries += 1;
            match self.vault.commit(ops).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                done => return done.map_err(service_error),
            }
        }
    }

    /// The registration of an individual enrollment's device.
    pub(crate) async fn state_of_subject(&self, enrollment: &Enrollment) -> Result<Option<RegistrationStateDocument>, ServiceError> {
        let Subject::Individual { registration_id, .. } = &enrollment.subject else { return Ok(None) };
        let found = self.registration(registration_id).await.map_err(service_error)?;
        Ok(found.as_ref().map(outgoing::registration_state))
    }
}
