//! The part of an operation that certifies a device's key, and the certificate that a device was given last.

use serde::{Deserialize, Serialize};

use crate::{OperationId, credential_policy::HubAuthentication};

/// What is to become of the certificate signing request that came with an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Certification {
    /// SHA-256 of the request's DER, upper-case hex: tells whether a later request is for the same key and name.
    pub request_sha256: String,
    /// How its hub will tell the device.
    #[serde(default)]
    pub hub_authentication: HubAuthentication,
    /// How far it is.
    pub stage: Stage,
}

/// How far a certification is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
pub enum Stage {
    /// To be signed.
    Wanted {
        /// The credential policy.
        policy: String,
        /// The request, DER in base64.
        request: String,
    },
    /// Signed. From here on the operation has this certificate and no other, whoever goes on with it.
    Issued(IssuedChain),
}

/// An issued certificate with those above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedChain {
    /// DER in base64, leaf first, root last.
    pub certificates: Vec<String>,
    /// SHA-256 of the leaf, upper-case hex.
    pub sha256_thumbprint: String,
}

/// The certificate that a device was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCertificate {
    /// The operation that issued it: only its answers tell the chain.
    pub operation_id: OperationId,
    /// How its hub tells the device.
    #[serde(default)]
    pub hub_authentication: HubAuthentication,
    /// The certificate.
    pub chain: IssuedChain,
}
