//! Certificates as operators and tools send them.

use serde_json::Value;
use tracing::warn;
use usher_attestation::Certificate;
use usher_domain::{
    ServiceError,
    document::{CertificateDocument, CertificatePairDocument},
    enrollment::{CertificatePair, StoredCertificate, X509Attestation},
};

use super::{given, invalid};

/// Whether a pair holds nothing.
pub(super) fn is_empty(pair: &CertificatePairDocument) -> bool {
    [&pair.primary, &pair.secondary].into_iter().flatten().all(|slot| given(&slot.certificate).is_none() && slot.info.is_none())
}

/// Reads a pair. A certificate of which only the `info` comes back is the stored one with that thumbprint, in whichever place it
/// stood, so that roll-over can promote the secondary.
pub(super) fn read(
    member: &str,
    pair: Option<&CertificatePairDocument>,
    old: Option<&X509Attestation>,
) -> Result<CertificatePair, ServiceError> {
    let pair = pair.cloned().unwrap_or_default();
    let stored: Vec<&StoredCertificate> = match old {
        Some(X509Attestation::Client(pair) | X509Attestation::Signing(pair)) => pair.iter().collect(),
        Some(X509Attestation::CaReferences(_)) | None => Vec::new(),
    };
    let slot = |name: &str, slot: Option<&CertificateDocument>| read_slot(&format!("{member}.{name}"), slot, &stored);
    let read = CertificatePair { primary: slot("primary", pair.primary.as_ref())?, secondary: slot("secondary", pair.secondary.as_ref())? };
    if read.iter().next().is_none() {
        return Err(invalid(format!("Attestation of type x509 needs at least one certificate in {member}.")));
    }
    let doubtful = member == "signingCertificates" && read.iter().any(|stored| !is_ca(stored));
    if doubtful {
        let mend = "Enroll the certificate of the CA that signs the devices' certificates.";
        warn!(
            check = "enrollment.signingCertificate",
            mend, "a group is enrolled with a certificate that is not a CA's: no chain can match it"
        );
    }
    Ok(read)
}

fn read_slot(
    place: &str,
    slot: Option<&CertificateDocument>,
    stored: &[&StoredCertificate],
) -> Result<Option<StoredCertificate>, ServiceError> {
    let Some(slot) = slot else { return Ok(None) };
    match (given(&slot.certificate), &slot.info) {
        (Some(text), _) => {
            let certificate = Certificate::from_text(text).map_err(|why| invalid(format!("{place}: {why}.")))?;
            Ok(Some(certificate.stored()))
        }
        (None, Some(info)) => kept(info, stored)
            .map(Some)
            .ok_or_else(|| invalid(format!("{place} has an info that is not of a stored certificate. Send the certificate itself."))),
        (None, None) => Ok(None),
    }
}

fn kept(info: &Value, stored: &[&StoredCertificate]) -> Option<StoredCertificate> {
    let thumbprint = info.get("sha256Thumbprint").and_then(Value::as_str)?;
    stored.iter().find(|stored| stored.info.sha256_thumbprint.eq_ignore_ascii_case(thumbprint)).map(|stored| (*stored).clone())
}

fn is_ca(stored: &StoredCertificate) -> bool {
    Certificate::from_stored(stored).is_ok_and(|certificate| certificate.is_ca())
}
