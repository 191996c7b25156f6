//! The certificates that a device presented in its TLS handshake.

use usher_domain::{RegistrationId, Timestamp, limits::CHAIN_DEPTH_MAX};

use super::validity::check_validity;
use crate::{Certificate, Check, Refusal, certificate::KeyKind};

/// Bits below which an RSA key is refused (NIST SP 800-131A: 2048).
pub(super) const RSA_BITS_MIN: usize = 2048;

/// A chain that could be read: the leaf, and the others in the order they came, without repeats.
pub(super) struct Presented {
    pub leaf: Certificate,
    pub others: Vec<Named>,
}

/// A certificate with what to call it in the log.
pub(super) struct Named {
    pub certificate: Certificate,
    pub label: String,
}

impl Named {
    pub(super) fn new(certificate: Certificate, place: &str) -> Self {
        // Names come from the device: control characters must not reach a log line.
        let label = format!("{place} ('{}')", certificate.info().subject_name.escape_debug());
        Self { certificate, label }
    }
}

impl Presented {
    /// Reads a chain, leaf first; the others may come in any order.
    pub(super) fn read(chain: &[Vec<u8>]) -> Result<Self, Refusal> {
        if chain.len() > CHAIN_DEPTH_MAX {
            let detail = format!("The device presented {} certificates; at most {CHAIN_DEPTH_MAX} are judged.", chain.len());
            return Err(Refusal::new(Check::ChainLength, detail));
        }
        let mut read = chain.iter().enumerate().map(|(place, der)| read_one(place, der));
        let leaf = read.next().ok_or_else(|| Refusal::new(Check::CertificateMissing, "The device presented no certificate."))??;
        let mut others: Vec<Named> = Vec::new();
        for named in read {
            let named = named?;
            let known = named.certificate == leaf.certificate || others.iter().any(|other| other.certificate == named.certificate);
            if !known {
                others.push(named);
            }
        }
        Ok(Self { leaf: leaf.certificate, others })
    }

    /// The checks that a leaf has to pass whatever its enrollment: it is for this device, valid now, and its key is not too weak.
    pub(super) fn check_leaf(&self, registration_id: &RegistrationId, now: Timestamp) -> Result<(), Refusal> {
        check_common_name(&self.leaf, registration_id)?;
        check_validity(&self.leaf, &self.leaf_label(), now)?;
        match self.leaf.facts().key {
            KeyKind::Rsa(bits) if bits < RSA_BITS_MIN => {
                Err(Refusal::new(Check::KeyStrength, format!("The RSA key of {} has {bits} bits.", self.leaf_label())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn leaf_label(&self) -> String {
        format!("the leaf ('{}')", self.leaf.info().subject_name.escape_debug())
    }
}

fn read_one(place: usize, der: &[u8]) -> Result<Named, Refusal> {
    let called = if place == 0 { "the leaf".to_owned() } else { format!("certificate {place} of the chain") };
    match Certificate::from_der(der) {
        Ok(certificate) => Ok(Named::new(certificate, &called)),
        Err(error) => Err(Refusal::new(Check::CertificateForm, format!("Reading {called} failed: {error}."))),
    }
}

fn check_common_name(leaf: &Certificate, registration_id: &RegistrationId) -> Result<(), Refusal> {
    match leaf.common_name() {
        Some(name) if registration_id.same_as(name) => Ok(()),
        Some(name) => {
            let detail = format!("The leaf's common name is '{}', the device registers as '{registration_id}'.", name.escape_debug());
            Err(Refusal::new(Check::CommonName, detail))
        }
        None => {
            let subject = leaf.info().subject_name.escape_debug();
            Err(Refusal::new(Check::CommonName, format!("The leaf's subject '{subject}' does not have exactly one common name.")))
        }
    }
}
