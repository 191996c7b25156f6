//! What an enrollment demands as proof.

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_attestation::{
    sas::check_key,
    tpm::{StorageKey, check_ek_certificate},
};
use usher_domain::{
    ErrorCode, Secret, ServiceError,
    document::{AttestationDocument, EndorsementKeyCertificateDocument, SymmetricKeyDocument, TpmDocument, X509Document},
    enrollment::{Attestation, SymmetricKeys, TpmKeys, X509Attestation},
};

use super::{Incoming, certificates, given, invalid, references};
use crate::kind::Kind;

/// Bytes of a generated symmetric key, as the cloud generates them.
const GENERATED_KEY_BYTES: usize = 64;
/// Largest TPM public key, in bytes: TPM2B_PUBLIC of RSA-4096 stays below 600 (TPM 2.0 Part 2, 12.2.5).
const TPM_PUBLIC_BYTES_MAX: usize = 1024;

impl Incoming<'_> {
    pub(super) fn attestation(&self, document: &AttestationDocument) -> Result<Attestation, ServiceError> {
        let is = |kind: &str| document.kind.eq_ignore_ascii_case(kind);
        if is("symmetricKey") {
            self.symmetric_keys(document.symmetric_key.as_ref()).map(Attestation::SymmetricKey)
        } else if is("x509") {
            let x509 = document.x509.as_ref().ok_or_else(|| invalid("Attestation of type x509 needs the x509 member."))?;
            Ok(Attestation::X509(Box::new(self.x509(x509)?)))
        } else if is("tpm") {
            let tpm = document.tpm.as_ref().ok_or_else(|| invalid("Attestation of type tpm needs the tpm member."))?;
            let keys = self.tpm(tpm)?;
            if let Some(certificate) = &document.endorsement_key_certificate {
                self.vouched_for(&keys.endorsement_key, certificate)?;
            }
            Ok(Attestation::Tpm(keys))
        } else {
            Err(invalid("The attestation's type must be symmetricKey, x509 or tpm."))
        }
    }

    /// Keys left out stay as they were, or are generated where there are none.
    fn symmetric_keys(&self, document: Option<&SymmetricKeyDocument>) -> Result<SymmetricKeys, ServiceError> {
        let stored = match self.old.map(|old| &old.attestation) {
            Some(Attestation::SymmetricKey(keys)) => Some(keys),
            _ => None,
        };
        let primary = document.and_then(|keys| given(&keys.primary_key));
        let secondary = document.and_then(|keys| given(&keys.secondary_key));
        Ok(SymmetricKeys {
            primary: symmetric_key("primaryKey", primary, stored.map(|keys| &keys.primary))?,
            secondary: symmetric_key("secondaryKey", secondary, stored.map(|keys| &keys.secondary))?,
        })
    }

    fn x509(&self, document: &X509Document) -> Result<X509Attestation, ServiceError> {
        if let Some(names) = document.ca_references.as_ref().filter(|names| !references::is_empty(names)) {
            return self.references(document, names).map(X509Attestation::CaReferences);
        }
        let old = match self.old.map(|old| &old.attestation) {
            Some(Attestation::X509(stored)) => Some(&**stored),
            _ => None,
        };
        match (self.kind, &document.client_certificates, &document.signing_certificates) {
            (Kind::Individual, _, Some(pair)) if !certificates::is_empty(pair) => {
                Err(invalid("An individual enrollment takes clientCertificates, not signingCertificates."))
            }
            (Kind::Group, Some(pair), _) if !certificates::is_empty(pair) => {
                Err(invalid("An enrollment group takes signingCertificates, not clientCertificates."))
            }
            (Kind::Individual, pair, _) => certificates::read("clientCertificates", pair.as_ref(), old).map(X509Attestation::Client),
            (Kind::Group, _, pair) => certificates::read("signingCertificates", pair.as_ref(), old).map(X509Attestation::Signing),
        }
    }

    fn tpm(&self, document: &TpmDocument) -> Result<TpmKeys, ServiceError> {
        if self.kind == Kind::Group {
            return Err(invalid("An enrollment group takes x509 or symmetricKey attestation; TPMs are enrolled one by one."));
        }
        Ok(TpmKeys {
            endorsement_key: tpm_public("endorsementKey", &document.endorsement_key)?,
            storage_root_key: given(&document.storage_root_key).map(|key| tpm_public("storageRootKey", key)).transpose()?,
        })
    }

    /// The TPM maker's certificate is checked while the operator is there to mend it, and not kept: the key itself is what counts later.
    fn vouched_for(&self, endorsement_key: &str, sent: &EndorsementKeyCertificateDocument) -> Result<(), ServiceError> {
        let key = StorageKey::from_base64(endorsement_key)
            .map_err(|why| invalid(format!("endorsementKey cannot be compared with endorsementKeyCertificate: {why}.")))?;
        check_ek_certificate(&sent.certificate, &sent.authorities, &key, self.now)
            .map_err(|why| invalid(format!("endorsementKeyCertificate failed the check {why}")))
    }
}

fn symmetric_key(member: &str, sent: Option<&str>, stored: Option<&Secret>) -> Result<Secret, ServiceError> {
    match (sent, stored) {
        (Some(key), _) => check_key(key).map(|()| Secret::new(key)).map_err(|why| invalid(format!("{member}: {why}."))),
        (None, Some(stored)) => Ok(stored.clone()),
        (None, None) => generated_key(),
    }
}

/// A fresh key, base64.
pub(crate) fn generated_key() -> Result<Secret, ServiceError> {
    let mut key = [0; GENERATED_KEY_BYTES];
    rand::fill(&mut key).map_err(|_| ServiceError::new(ErrorCode::Internal))?;
    Ok(Secret::new(STANDARD.encode(key)))
}

/// Base64 of a whole TPM2B_PUBLIC: two bytes of size, then that many.
fn tpm_public(member: &str, text: &str) -> Result<String, ServiceError> {
    let text = text.trim();
    let bytes = STANDARD.decode(text).map_err(|_| invalid(format!("{member} must be base64 of the TPM's public key.")))?;
    let sized = bytes.split_first_chunk::<2>().is_some_and(|(size, rest)| usize::from(u16::from_be_bytes(*size)) == rest.len());
    if !sized || bytes.len() <= 2 || bytes.len() > TPM_PUBLIC_BYTES_MAX {
        return Err(invalid(format!("{member} must be a whole TPM2B_PUBLIC, its two bytes of size included.")));
    }
    Ok(text.to_owned())
}
