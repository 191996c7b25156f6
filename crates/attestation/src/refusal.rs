//! Why a device was not believed: in full for the operator's log, in two words for the device.
//!
//! Both come from one value, so that the log can never tell of another check than the one that failed, and so that no door of the
//! service can be talkative by mistake.

use std::fmt;

use usher_domain::{ErrorCode, ServiceError};

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident: $outward:ident, $mend:literal;)*) => {
        /// A check that a device can fail.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Check { $($(#[$doc])* $name,)* }

        impl Check {
            /// All checks, in order.
            pub const ALL: &'static [Check] = &[$(Check::$name,)*];

            /// The check's name, for the log and for filters.
            pub const fn name(self) -> &'static str {
                match self { $(Check::$name => stringify!($name),)* }
            }

            /// What a firmware engineer or operator should do about it.
            pub const fn mend(self) -> &'static str {
                match self { $(Check::$name => $mend,)* }
            }

            const fn outward(self) -> Outward {
                match self { $(Check::$name => Outward::$outward,)* }
            }
        }
    };
}

/// What the device may hear.
#[derive(Clone, Copy)]
enum Outward {
    Unauthorized,
    InvalidCertificate,
}

checks! {
    /// The SAS token cannot be read.
    TokenForm: Unauthorized, "Build the token as 'SharedAccessSignature sr={scope}%2Fregistrations%2F{id}&sig={percent-encoded base64}&se={unix seconds}'.";
    /// The SAS token is for another resource.
    TokenResource: Unauthorized, "Sign for '{ID scope}/registrations/{registration ID}' with the same scope and ID that the device connects with.";
    /// The SAS token's signature does not match any enrolled key.
    TokenSignature: Unauthorized, "Check that the device signs with the base64-decoded key of its enrollment; in a group, with HMAC-SHA-256(group key, registration ID) over the ID spelled as the device presents it.";
    /// The SAS token has expired.
    TokenExpiry: Unauthorized, "Set the device's clock before it makes the token, and make a new token for each connection.";
    /// The enrollment's key cannot be used.
    EnrolledKey: Unauthorized, "Store keys of 16 to 64 bytes in base64 in the enrollment.";
    /// The device presented no client certificate.
    CertificateMissing: InvalidCertificate, "Give the TLS client the device's certificate with its private key.";
    /// A presented or enrolled certificate cannot be read.
    CertificateForm: InvalidCertificate, "Issue the certificate anew as X.509 in DER; keep it under 16 KiB.";
    /// More certificates than are judged.
    ChainLength: InvalidCertificate, "Send the leaf and its intermediates only.";
    /// The leaf's subject does not carry the registration ID as its one common name.
    CommonName: InvalidCertificate, "Issue the leaf with exactly one common name, equal to the registration ID.";
    /// The leaf is not one of the enrolled certificates.
    Thumbprint: InvalidCertificate, "Enroll the certificate that the device presents, or install the enrolled one on the device.";
    /// A certificate on the path is not valid yet.
    NotYetValid: InvalidCertificate, "Check the clocks of the issuing CA and of this server; otherwise wait or reissue.";
    /// A certificate on the path has expired.
    Expired: InvalidCertificate, "Reissue the named certificate, or enroll its successor as the secondary certificate.";
    /// No certificate is known that issued one on the path.
    IssuerMissing: InvalidCertificate, "Let the device send every intermediate between its leaf and the enrolled CA.";
    /// The chain ends in a root that is not enrolled in this group.
    UnknownRoot: InvalidCertificate, "Enroll the CA that issued the device's chain, or issue the device a certificate under the enrolled CA.";
    /// A certificate's signature was not made by the issuer it names.
    IssuerSignature: InvalidCertificate, "An issuer of the same name but with another key signed this certificate: enroll that CA certificate, or reissue below the enrolled one.";
    /// A certificate is signed with an algorithm that is not accepted.
    SignatureAlgorithm: InvalidCertificate, "Reissue with ECDSA P-256 or P-384, RSA with SHA-256 or better, or Ed25519.";
    /// A certificate's key is too weak or of a kind that is not accepted.
    KeyStrength: InvalidCertificate, "Use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519.";
    /// An issuer is not marked as a CA.
    NotCa: InvalidCertificate, "Issue the CA certificate as X.509 version 3 with basicConstraints CA:TRUE.";
    /// An issuer's key usage excludes signing certificates.
    KeyUsage: InvalidCertificate, "Add keyCertSign to the CA certificate's keyUsage.";
    /// An issuer allows fewer intermediates below it than there are.
    PathLength: InvalidCertificate, "Raise pathLenConstraint of the named CA, or issue the leaf higher up.";
    /// A certificate holds a critical extension that is not understood, or a malformed one.
    Extension: InvalidCertificate, "Reissue the certificate without the named extension, or not marked critical.";
    /// The chain offers more ways to follow than are tried.
    ChainEffort: InvalidCertificate, "Send the leaf and its intermediates only, each once.";
    /// The enrollment holds no certificate to compare with.
    EnrolledCertificate: InvalidCertificate, "Upload a valid certificate to the enrollment.";
    /// The endorsement key is not the enrolled one.
    EndorsementKey: Unauthorized, "Enroll the endorsement key that the device reports (TPM2B_PUBLIC, base64).";
    /// The storage root key is not the enrolled one.
    StorageRootKey: Unauthorized, "Remove storageRootKey from the enrollment or enroll the one that the device reports; clearing a TPM changes it.";
    /// A TPM key cannot be read or does not protect what it is given.
    TpmKeyForm: Unauthorized, "Create the endorsement and storage root keys from the TCG default templates.";
}

/// A device was not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The check that failed.
    pub check: Check,
    /// What exactly was found, for the log. Holds no secret.
    pub detail: String,
    /// What to do about it, for the log.
    pub mend: String,
}

impl Refusal {
    /// A refusal with the check's own advice.
    pub fn new(check: Check, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into(), mend: check.mend().to_owned() }
    }

    /// All that the device may know: that it was refused, and whether for its certificate.
    pub fn outward(&self) -> ServiceError {
        match self.check.outward() {
            Outward::Unauthorized => ServiceError::new(ErrorCode::Unauthorized),
            Outward::InvalidCertificate => ServiceError::new(ErrorCode::InvalidCertificate),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.check.name(), self.detail, self.mend)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_hears_the_same_two_texts_whatever_check_failed() {
        for check in Check::ALL {
            let outward = Refusal::new(*check, "CN=secret-name").outward();
            let told = (outward.code.code(), outward.message.as_str());
            assert!([(401_000, "Unauthorized"), (401_002, "Invalid certificate.")].contains(&told), "{check:?}");
        }
    }

    #[test]
    fn every_check_says_what_to_do() {
        for check in Check::ALL {
            assert!(check.mend().ends_with('.'), "{check:?}");
            assert!(Refusal::new(*check, "x.").to_string().starts_with(check.name()));
        }
    }
}
