//! Creating and updating enrollments.

use usher_domain::{ErrorCode, ServiceError, Timestamp, document::EnrollmentDocument, enrollment::Enrollment};
use usher_records::Versioned;
use usher_store::{Expect, Op};

use crate::{CaCertificates, Registry, Tenant, etag::IfMatch, fault::service_error, incoming::Incoming, kind::Kind, outgoing};

/// Tries at a record, or at an index that enrollments share, while others change it too. A condition given by the client is judged
/// anew each time.
pub(crate) const CONFLICTS_MAX: usize = 16;

/// What must be true of the record that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Terms {
    /// It is created or replaced, as `If-Match` allows.
    IfMatch(IfMatch),
    /// It is created.
    Absent,
    /// It is replaced.
    Present,
}

impl Tenant {
    /// Creates or replaces an enrollment; metered in the same commit. The answer tells its symmetric keys, so that whoever let the
    /// service make them learns them; the right to write covers the right to read them.
    ///
    /// `path_id` is the ID in the request's path; the document may leave its own out. Secrets that the document leaves out, and
    /// certificates of which it gives only the `info`, are kept from the record it replaces.
    pub async fn put_enrollment(
        &self,
        kind: Kind,
        path_id: &str,
        document: EnrollmentDocument,
        if_match: IfMatch,
        now: Timestamp,
    ) -> Result<EnrollmentDocument, ServiceError> {
        let written = self.write(kind, path_id, &document, Terms::IfMatch(if_match), now, vec![self.registry.meter(now)]).await?;
        let mut told = outgoing::enrollment(&written.value, written.etag, outgoing::Keys::Shown);
        told.registration_state = self.registry.state_of_subject(&written.value).await?;
        Ok(told)
    }

    pub(crate) async fn write(
        &self,
        kind: Kind,
        path_id: &str,
        document: &EnrollmentDocument,
        terms: Terms,
        now: Timestamp,
        also: Vec<Op>,
    ) -> Result<Versioned<Enrollment>, ServiceError> {
        let id = kind.fold(path_id)?;
        let mut tries = 0;
        loop {
            let old = self.registry.enrollment(kind, &id).await.map_err(service_error)?;
            terms.check(old.as_ref().map(|old| old.etag))?;
            let old_value = old.as_ref().map(|old| &old.value);
            self.registry.check_policy_of(document).await?;
            let uploaded = self.registry.uploaded_for(document).await?;
            let new = Incoming { kind, service: &self.service, old: old_value, uploaded: &uploaded, now }.read(path_id, document)?;
            let (mut ops, etag) = self.registry.enrollment_ops(kind, &id, old.as_ref(), &new).await?;
            ops.extend(also.iter().cloned());
            // Held until the commit is over.
            let held = self.hold(old_value, &new).await?;
            ops.extend(held.ops.iter().cloned());
            tries += 1;
            match self.registry.commit(ops).await {
                Ok(()) => return Ok(Versioned { value: new, etag }),
                Err(usher_records::RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                Err(fault) => return Err(service_error(fault)),
            }
        }
    }
}

impl Registry {
    /// The uploaded CA certificates, where a document refers to any.
    async fn uploaded_for(&self, document: &EnrollmentDocument) -> Result<CaCertificates, ServiceError> {
        let x509 = document.attestation.as_ref().and_then(|attestation| attestation.x509.as_ref());
        match x509.and_then(|x509| x509.ca_references.as_ref()) {
            Some(_) => self.ca_certificates().await.map_err(service_error),
            None => Ok(CaCertificates::default()),
        }
    }

    /// The commit that writes an enrollment with its index entries, and its new ETag.
    async fn enrollment_ops(
        &self,
        kind: Kind,
        id: &str,
        old: Option<&Versioned<Enrollment>>,
        new: &Enrollment,
    ) -> Result<(Vec<Op>, u64), ServiceError> {
        let expect = old.map_or(Expect::Absent, |old| Expect::Etag(old.etag));
        let (put, etag) = self.vault.put(self.vault.key(kind.space(), id), expect, new).map_err(service_error)?;
        let mut ops = vec![put];
        let old = old.map(|old| &old.value);
        ops.extend(self.reference_ops(kind, old, Some(new)).await?);
        if kind == Kind::Group {
            ops.extend(self.signer_ops(old, Some(new)).await?);
            ops.extend(self.symmetric_ops(old, Some(new)).await?);
        }
        Ok((ops, etag))
    }
}

impl Terms {
    fn check(self, found: Option<u64>) -> Result<(), ServiceError> {
        match (self, found) {
            (Self::IfMatch(condition), found) => condition.check(found),
            (Self::Absent, Some(_)) => Err(ServiceError::new(ErrorCode::Conflict)),
            (Self::Present, None) => Err(ServiceError::with(ErrorCode::NotFound, "There is no such record to update.")),
            (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
        }
    }
}
