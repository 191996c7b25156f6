//! The outcome of a proof. The type is the evidence: its fields are private to this crate, so that whoever holds a
//! [`ProvenIdentity`] holds a device that was believed.

use usher_domain::{
    RegistrationId,
    enrollment::{CertificateInfo, SymmetricKeys},
    hub_device::DeviceCredential,
    registration::ProofSummary,
};

use crate::tpm::Claim;

/// A device that has proved who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProvenIdentity {
    registration_id: RegistrationId,
    means: Means,
}

/// What the proof rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Means {
    /// A key of the device's own, from its enrollment or derived from its group's.
    SymmetricKey {
        /// The device's keys: enrolled ones as they are, derived ones in base64.
        keys: SymmetricKeys,
        /// Which of the two signed the token.
        signed_with: KeyPlace,
    },
    /// A certificate.
    X509 {
        /// The certificate that the device presented.
        leaf: Box<CertificateInfo>,
        /// The enrolled CA that vouches for it (groups).
        signer: Option<Box<CertificateInfo>>,
        /// The enrolled certificates of the device (individual enrollments): what a hub must accept, so that a roll-over to the
        /// second certificate needs no new registration.
        enrolled: Option<EnrolledThumbprints>,
        /// Certificates from the leaf to the signer; 0 where the leaf itself is enrolled.
        distance: usize,
    },
    /// A key that only the enrolled TPM could recover.
    Tpm {
        /// The TPM's keys: the key for the hub is wrapped for them.
        claim: Box<Claim>,
    },
}

/// One of an enrollment's two keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyPlace {
    /// The first.
    Primary,
    /// The other.
    Secondary,
}

impl KeyPlace {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

/// SHA-256 thumbprints, upper-case hex, of the certificates in an individual enrollment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnrolledThumbprints {
    /// The first one there.
    pub primary: String,
    /// The other, where there are two.
    pub secondary: Option<String>,
}

impl ProvenIdentity {
    pub(crate) fn new(registration_id: &RegistrationId, means: Means) -> Self {
        Self { registration_id: registration_id.clone(), means }
    }

    /// Who it is, spelled as the device spells it.
    pub fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// How it was proved.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// What answers and records tell of the proof.
    pub fn summary(&self) -> ProofSummary {
        match &self.means {
            Means::SymmetricKey { .. } => ProofSummary::SymmetricKey,
            Means::X509 { leaf, signer, .. } => ProofSummary::X509 { leaf: leaf.clone(), signer: signer.clone() },
            Means::Tpm { .. } => ProofSummary::Tpm,
        }
    }

    /// What the hub should accept from the device.
    ///
    /// Certificates are named by SHA-256 thumbprints: hubs take SHA-1 or SHA-256, and SHA-1 collisions can be made. Of a group's device
    /// the hub learns the leaf that it presented, so that the group's CA need not be uploaded to the hub. A TPM keeps a fresh
    /// symmetric key for the hub, which `tpm_keys` makes; it is called for TPMs alone.
    pub fn hub_credential(&self, tpm_keys: impl FnOnce() -> SymmetricKeys) -> DeviceCredential {
        match &self.means {
            Means::SymmetricKey { keys, .. } => {
                DeviceCredential::SymmetricKeys { primary: keys.primary.clone(), secondary: keys.secondary.clone() }
            }
            Means::X509 { enrolled: Some(enrolled), .. } => {
                DeviceCredential::Thumbprints { primary: enrolled.primary.clone(), secondary: enrolled.secondary.clone() }
            }
            Means::X509 { leaf, enrolled: None, .. } => {
                DeviceCredential::Thumbprints { primary: leaf.sha256_thumbprint.clone(), secondary: None }
            }
            Means::Tpm { .. } => {
                let keys = tpm_keys();
                DeviceCredential::TpmKeys { primary: keys.primary, secondary: keys.secondary }
            }
        }
    }
}
