//! A CA certificate uploaded to a service, which enrollments refer to by name.

use serde::{Deserialize, Serialize};

use crate::{Secret, Timestamp, enrollment::StoredCertificate};

/// Uploaded CA certificates of one service (DPS limits: 25; MicrosoftDocs/azure-docs: includes/iot-dps-limits.md).
pub const CA_CERTIFICATES_MAX: usize = 25;

/// An uploaded CA certificate. Only a verified one vouches for devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificate {
    /// The name that enrollments know it by, as it was first spelled. Case does not matter.
    pub name: String,
    /// The certificate.
    pub certificate: StoredCertificate,
    /// Whether the operator has shown to hold its key, or has vouched for it.
    pub is_verified: bool,
    /// The common name that a certificate must have to show that. Whoever knows it can do nothing without the key; it is kept from
    /// logs all the same.
    pub verification_code: Option<Secret>,
    /// When the name was first used.
    pub created_at: Timestamp,
    /// When anything changed last.
    pub updated_at: Timestamp,
}

/// Checks a name: 1 to 64 letters, digits and `- . _` (as other Azure resource names; the SDK itself takes any text).
pub fn is_certificate_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}
