//! A credential policy: which certificates a service issues to devices that send a certificate signing request, and by which authority.
//!
//! The name and the members are those of the cloud's preview, where a policy stands for one issuing CA and the validity of what it
//! issues (docs/protocol/csr.md).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Secret, Timestamp, enrollment::StoredCertificate};

/// Credential policies of one service. The cloud's preview has one; every policy has an authority of its own to look after.
pub const CREDENTIAL_POLICIES_MAX: usize = 25;
/// Longest validity of an issued certificate, in days. The cloud's preview ends at 90; devices that are years at sea need more.
pub const VALIDITY_DAYS_MAX: u32 = 3_650;
/// Validity where the operator names none, in days (az iot adr ns policy create).
pub const VALIDITY_DAYS_DEFAULT: u32 = 30;
/// Fewest bits of an RSA key that is certified (NIST SP 800-57: 112 bits of strength).
pub const RSA_BITS_MIN: usize = 2_048;
/// Certificates in an issued chain, leaf and root included.
pub const ISSUED_CHAIN_MAX: usize = 5;

/// A credential policy, as it is kept. The record is sealed, and so is the authority's key with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialPolicy {
    /// The name that enrollments know it by, as it was first spelled. Case does not matter.
    pub name: String,
    /// Who signs.
    pub authority: Authority,
    /// How long an issued certificate is valid, in days. An authority outside decides that for itself.
    pub validity_days: u32,
    /// The keys that are certified; at least one.
    pub key_types: Vec<KeyType>,
    /// How hubs tell its devices.
    #[serde(default)]
    pub hub_authentication: HubAuthentication,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// How a hub tells a device that was issued a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HubAuthentication {
    /// By the certificate's thumbprint: works on every hub at once, and as long as the device is not registered anew.
    #[default]
    Thumbprint,
    /// By its chain to the authority, which an operator puts on the hub: works as long as the certificate is valid.
    CertificateAuthority,
}

impl HubAuthentication {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Thumbprint => "thumbprint",
            Self::CertificateAuthority => "certificateAuthority",
        }
    }

    /// The one with this name, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Thumbprint, Self::CertificateAuthority].into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Authority {
    /// A CA whose key usher holds.
    Held {
        /// The CA's certificate, then those above it, the root last.
        chain: Vec<StoredCertificate>,
        /// Its private key, PKCS#8 in PEM.
        key: Secret,
    },
    /// A CA that is asked by EST (RFC 7030).
    Est(EstAuthority),
}

/// A CA that is asked by EST.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EstAuthority {
    /// The server, and a CA label where it has several, such as `https://est.example/.well-known/est/plant`.
    pub url: String,
    /// User name of HTTP basic authentication (RFC 7030 section 3.2.3).
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Roots that the server's certificate may be from besides the machine's, DER in base64.
    #[serde(default)]
    pub trust: Vec<String>,
    /// Certificates above the issued ones, which the server may leave out of its answers.
    pub chain: Vec<StoredCertificate>,
}

impl Authority {
    /// The certificates above what is issued, as far as they are known beforehand.
    pub fn chain(&self) -> &[StoredCertificate] {
        match self {
            Self::Held { chain, .. } => chain,
            Self::Est(est) => &est.chain,
        }
    }
}

/// Keys of devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyType {
    /// NIST P-256.
    #[serde(rename = "P-256")]
    P256,
    /// NIST P-384, the only one of the cloud's preview.
    #[serde(rename = "P-384")]
    P384,
    /// RSA of at least [`RSA_BITS_MIN`] bits.
    #[serde(rename = "RSA")]
    Rsa,
}

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Rsa];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
        }
    }

    /// The one with this name, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Checks a policy's name: 3 to 50 letters, digits and hyphens (Azure Device Registry, credential policies).
pub fn is_policy_name(name: &str) -> bool {
    (3..=50).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn key_types_are_kept_under_their_words() {
        for kind in KeyType::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert_eq!(KeyType::from_word(&kind.word().to_ascii_lowercase()), Some(kind));
        }
    }

    #[test]
    fn names_are_those_of_the_device_registry() {
        for good in ["abc", "cert-policy", &"a".repeat(50)] {
            assert!(is_policy_name(good), "{good}");
        }
        for bad in ["", "ab", "a b c", "a/b/c", "ä-policy", &"a".repeat(51)] {
            assert!(!is_policy_name(bad), "{bad}");
        }
    }
}
