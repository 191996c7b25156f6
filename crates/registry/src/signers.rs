//! The index from a certificate authority to the groups enrolled with it.
//!
//! A device's chain names its issuers; one look-up per issuer finds the groups that could admit it, whatever their number.

use std::collections::BTreeSet;

use tracing::warn;
use usher_attestation::Certificate;
use usher_domain::{
    EnrollmentGroupId, ErrorCode, ServiceError,
    enrollment::{Attestation, Enrollment, X509Attestation},
};
use usher_records::RecordError;
use usher_store::{Expect, Op};

use crate::{Registry, fault::service_error, kind::id_of, spaces};

/// Groups enrolled with certificates of one subject name. A device's proof may have to try them all, and the whole service has a
/// limit of 100 X.509 groups in the cloud (MicrosoftDocs/azure-docs: includes/iot-dps-limits.md).
pub const GROUPS_PER_SIGNER_MAX: usize = 100;

impl Registry {
    /// The groups enrolled with a certificate whose subject name is `issuer_subject_der`, disabled ones included.
    pub async fn groups_signed_by(&self, issuer_subject_der: &[u8]) -> Result<Vec<Enrollment>, RecordError> {
        let mut groups = Vec::new();
        for id in self.group_ids_signed_by(issuer_subject_der).await? {
            // A group deleted since the index was read is passed over.
            groups.extend(self.group(&id).await?.map(|found| found.value));
        }
        Ok(groups)
    }

    /// Some more than the limit are read, since two groups made at the same time can both find the last place free.
    async fn group_ids_signed_by(&self, subject_der: &[u8]) -> Result<Vec<EnrollmentGroupId>, RecordError> {
        let prefix = self.vault.parent_prefix_of_bytes(spaces::GROUP_BY_SIGNER, subject_der);
        let page = self.vault.page(spaces::GROUP_BY_SIGNER, &prefix, None, 2 * GROUPS_PER_SIGNER_MAX).await?;
        Ok(page.items.into_iter().map(|(_, entry)| entry.value).collect())
    }

    /// The index changes that go with a group's change from `old` to `new`.
    pub(crate) async fn signer_ops(&self, old: Option<&Enrollment>, new: Option<&Enrollment>) -> Result<Vec<Op>, ServiceError> {
        let (before, after) = (old.map(signers).unwrap_or_default(), new.map(signers).unwrap_or_default());
        let mut ops = Vec::new();
        for (gone, id) in before.difference(&after).zip(std::iter::repeat(old.map(id_of).unwrap_or_default())) {
            let key = self.vault.child_of_bytes(spaces::GROUP_BY_SIGNER, gone, id);
            ops.push(Op::Delete { key, expect: Expect::Any });
        }
        for (added, id) in after.difference(&before).zip(std::iter::repeat(new.map(id_of).unwrap_or_default())) {
            self.refuse_full_signer(added).await?;
            let key = self.vault.child_of_bytes(spaces::GROUP_BY_SIGNER, added, id);
            ops.push(self.vault.put(key, Expect::Any, &id).map_err(service_error)?.0);
        }
        Ok(ops)
    }

    async fn refuse_full_signer(&self, subject_der: &[u8]) -> Result<(), ServiceError> {
        let there = self.group_ids_signed_by(subject_der).await.map_err(service_error)?.len();
        if there < GROUPS_PER_SIGNER_MAX {
            return Ok(());
        }
        let why = format!("There are already {there} enrollment groups with certificates of this subject name. Delete one first.");
        Err(ServiceError::with(ErrorCode::QuotaExceeded, why))
    }
}

/// The subject names of the certificates that a group is enrolled with.
fn signers(enrollment: &Enrollment) -> BTreeSet<Vec<u8>> {
    let Attestation::X509(attestation) = &enrollment.attestation else { return BTreeSet::new() };
    let X509Attestation::Signing(pair) = &**attestation else { return BTreeSet::new() };
    let read = pair.iter().filter_map(|stored| match Certificate::from_stored(stored) {
        Ok(certificate) => Some(certificate.subject_der().to_vec()),
        Err(why) => {
            warn!(check = "enrollment.certificate", detail = %why, mend = "Send the certificate again.", "a stored certificate cannot be read");
            None
        }
    });
    read.collect()
}
