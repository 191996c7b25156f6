//! Enrollments that refer to uploaded CA certificates by name.
//!
//! What a name stands for is looked up when a device proves itself, so that a certificate replaced under its name counts at once. An
//! index from names to enrollments finds the groups that could admit a device, and keeps a certificate that is in use.

use std::collections::BTreeSet;

use usher_attestation::Certificate;
use usher_domain::{
    EnrollmentGroupId, ErrorCode, ServiceError,
    ca_certificate::CaCertificate,
    enrollment::{Attestation, CaReferences, CertificatePair, Enrollment, StoredCertificate, X509Attestation},
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Op, Space};

use crate::{
    GROUPS_PER_SIGNER_MAX, Registry,
    fault::service_error,
    kind::{Kind, id_of},
    spaces,
};

impl Registry {
    /// The certificates that these names stand for now. Only verified ones vouch for devices; others are left out.
    pub async fn resolve(&self, names: &CaReferences) -> Result<CertificatePair, RecordError> {
        let uploaded = self.ca_certificates().await?;
        let find = |name: &Option<String>| name.as_deref().and_then(|name| verified(&uploaded, name)).cloned();
        Ok(CertificatePair { primary: find(&names.primary), secondary: find(&names.secondary) })
    }

    /// The groups that refer to a verified certificate whose subject name is `issuer_subject_der`, disabled ones included.
    pub async fn groups_referring_to(&self, issuer_subject_der: &[u8]) -> Result<Vec<Enrollment>, RecordError> {
        let mut groups = Vec::new();
        for uploaded in self.ca_certificates().await?.iter().filter(|uploaded| uploaded.value.is_verified) {
            let of_this_name = Certificate::from_stored(&uploaded.value.certificate).is_ok_and(|ca| ca.subject_der() == issuer_subject_der);
            if !of_this_name {
                continue;
            }
            for id in self.referring_ids(spaces::GROUP_BY_REFERENCE, &uploaded.value.name, 2 * GROUPS_PER_SIGNER_MAX).await? {
                // A group deleted since the index was read is passed over.
                if let Ok(id) = EnrollmentGroupId::parse(&id) {
                    groups.extend(self.group(&id).await?.map(|found| found.value));
                }
            }
        }
        Ok(groups)
    }

    /// One enrollment that refers to a certificate, in words.
    pub(crate) async fn referring(&self, name: &str) -> Result<Option<String>, RecordError> {
        for kind in [Kind::Group, Kind::Individual] {
            if let Some(id) = self.referring_ids(index(kind), name, 1).await?.first() {
                return Ok(Some(format!("The {} {id}", kind.noun())));
            }
        }
        Ok(None)
    }

    async fn referring_ids(&self, space: Space, name: &str, limit: usize) -> Result<Vec<String>, RecordError> {
        let page = self.vault.page(space, &self.vault.parent_prefix(space, name), None, limit).await?;
        Ok(page.items.into_iter().map(|(_, entry)| entry.value).collect())
    }

    /// The index changes that go with an enrollment's change from `old` to `new`. A new reference rewrites the list of certificates, so
    /// that none of them is deleted at the same time.
    pub(crate) async fn reference_ops(
        &self,
        kind: Kind,
        old: Option<&Enrollment>,
        new: Option<&Enrollment>,
    ) -> Result<Vec<Op>, ServiceError> {
        let (before, after) = (old.map(names_of).unwrap_or_default(), new.map(names_of).unwrap_or_default());
        let id = new.or(old).map(id_of).unwrap_or_default();
        let mut ops = Vec::new();
        for gone in before.difference(&after) {
            ops.push(Op::Delete { key: self.vault.child(index(kind), gone, id), expect: Expect::Any });
        }
        let added: Vec<&String> = after.difference(&before).collect();
        if added.is_empty() {
            return Ok(ops);
        }
        let list = self.ca_list().await.map_err(service_error)?;
        for name in added {
            if !list.as_ref().is_some_and(|list| list.value.iter().any(|listed| listed.eq_ignore_ascii_case(name))) {
                return Err(ServiceError::with(ErrorCode::InvalidBody, format!("There is no uploaded CA certificate {name:.64}.")));
            }
            if kind == Kind::Group {
                self.refuse_full_reference(name).await?;
            }
            ops.push(self.vault.put(self.vault.child(index(kind), name, id), Expect::Any, &id).map_err(service_error)?.0);
        }
        ops.push(self.ca_list_op(list.as_ref(), |_| {})?);
        Ok(ops)
    }

    async fn refuse_full_reference(&self, name: &str) -> Result<(), ServiceError> {
        let there = self.referring_ids(spaces::GROUP_BY_REFERENCE, name, GROUPS_PER_SIGNER_MAX).await.map_err(service_error)?.len();
        if there < GROUPS_PER_SIGNER_MAX {
            return Ok(());
        }
        let why = format!("There are already {there} enrollment groups that refer to this certificate. Delete one first.");
        Err(ServiceError::with(ErrorCode::BadRequest, why))
    }
}

/// The verified certificate of this name.
pub(crate) fn verified<'a>(uploaded: &'a [Versioned<CaCertificate>], name: &str) -> Option<&'a StoredCertificate> {
    let found = uploaded.iter().find(|found| found.value.name.eq_ignore_ascii_case(name))?;
    found.value.is_verified.then_some(&found.value.certificate)
}

/// The names that an enrollment refers to, folded.
pub(crate) fn names_of(enrollment: &Enrollment) -> BTreeSet<String> {
    let Attestation::X509(attestation) = &enrollment.attestation else { return BTreeSet::new() };
    let X509Attestation::CaReferences(names) = &**attestation else { return BTreeSet::new() };
    names.primary.iter().chain(&names.secondary).map(|name| name.to_ascii_lowercase()).collect()
}

fn index(kind: Kind) -> Space {
    match kind {
        Kind::Group => spaces::GROUP_BY_REFERENCE,
        Kind::Individual => spaces::INDIVIDUAL_BY_REFERENCE,
    }
}
