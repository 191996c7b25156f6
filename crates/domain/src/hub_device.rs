//! What usher tells a hub about a device: its credential, capability and twin.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{DeviceId, Secret};

/// How the device will prove itself to the hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum DeviceCredential {
    /// SAS tokens signed with either key (base64).
    SymmetricKeys {
        /// The first key.
        primary: Secret,
        /// The second key.
        secondary: Secret,
    },
    /// As [`Self::SymmetricKeys`], but the keys are in the device's TPM, which signs with them and never shows them: for hubs that
    /// check signatures, of no use as a password.
    TpmKeys {
        /// The first key.
        primary: Secret,
        /// The second key.
        secondary: Secret,
    },
    /// A client certificate with one of these thumbprints (hex, SHA-1 or SHA-256, upper case).
    Thumbprints {
        /// The first certificate's.
        primary: String,
        /// The second certificate's.
        secondary: Option<String>,
    },
    /// A client certificate that chains to a CA which the hub trusts, common name = device ID.
    CertificateAuthority,
}

/// An initial twin: tags and desired properties, each a JSON object (azure-rest-api-specs: InitialTwin).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct InitialTwin {
    /// Seen by the service only.
    pub tags: Map<String, Value>,
    /// Seen by the device.
    pub desired: Map<String, Value>,
}

/// A device identity to be made on a hub.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Its ID there.
    pub device_id: DeviceId,
    /// How it proves itself there.
    pub credential: DeviceCredential,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
}
