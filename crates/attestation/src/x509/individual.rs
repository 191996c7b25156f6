//! Proof by the device's own certificate, pinned in its individual enrollment. No chain is needed: the operator vouched for this very
//! certificate, which may be self-signed.

use usher_domain::{
    RegistrationId, Timestamp,
    enrollment::{CertificatePair, StoredCertificate},
};

use super::presented::Presented;
use crate::{Check, Means, ProvenIdentity, Refusal, proof::EnrolledThumbprints};

/// Proves a device by the leaf of `chain` (DER, leaf first): it is one of the two enrolled certificates, by SHA-256 thumbprint; its
/// one common name is the registration ID; it is valid now.
pub fn prove_individual(
    chain: &[Vec<u8>],
    registration_id: &RegistrationId,
    enrolled: &CertificatePair,
    now: Timestamp,
) -> Result<ProvenIdentity, Refusal> {
    let presented = Presented::read(chain)?;
    let thumbprints = enrolled_thumbprints(enrolled)?;
    let info = presented.leaf.info();
    if !enrolled.iter().any(|stored| stored.info.sha256_thumbprint.eq_ignore_ascii_case(&info.sha256_thumbprint)) {
        return Err(Refusal::new(Check::Thumbprint, mismatch(&info.sha256_thumbprint, enrolled)));
    }
    presented.check_leaf(registration_id, now)?;
    let means = Means::X509 { leaf: Box::new(info.clone()), signer: None, enrolled: Some(thumbprints), distance: 0 };
    Ok(ProvenIdentity::new(registration_id, means))
}

fn enrolled_thumbprints(enrolled: &CertificatePair) -> Result<EnrolledThumbprints, Refusal> {
    let thumbprint = |stored: &StoredCertificate| stored.info.sha256_thumbprint.to_ascii_uppercase();
    let mut all = enrolled.iter().map(thumbprint);
    let primary = all.next().ok_or_else(|| Refusal::new(Check::EnrolledCertificate, "The individual enrollment holds no certificate."))?;
    Ok(EnrolledThumbprints { primary, secondary: all.next() })
}

fn mismatch(presented: &str, enrolled: &CertificatePair) -> String {
    let wanted: Vec<&str> = enrolled.iter().map(|stored| stored.info.sha256_thumbprint.as_str()).collect();
    format!("The leaf's SHA-256 thumbprint is {presented}, enrolled is {}.", wanted.join(" or "))
}
