//! The choices an enrollment makes: who is admitted, where to, and what happens the next time.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Whether an enrollment admits devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningStatus {
    /// Devices are admitted.
    #[default]
    Enabled,
    /// Devices are refused, with no look at broader enrollments.
    Disabled,
}

/// What happens to a device that registers again (azure-rest-api-specs: ReprovisionPolicy; both members default to true).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReprovisionPolicy {
    /// Whether the hub is chosen anew.
    #[serde(default = "yes")]
    pub update_hub_assignment: bool,
    /// Whether the twin goes along to a new hub; otherwise it is reset to the initial one.
    #[serde(default = "yes")]
    pub migrate_device_data: bool,
}

fn yes() -> bool {
    true
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self { update_hub_assignment: true, migrate_device_data: true }
    }
}

/// How a hub is chosen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// Spread by weight, the same hub for the same device.
    Hashed,
    /// The hub with the lowest latency to the device.
    GeoLatency,
    /// The one hub that the enrollment names.
    Static,
    /// A webhook chooses.
    Custom(CustomAllocation),
}

impl AllocationPolicy {
    /// The name on the service API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom(_) => "custom",
        }
    }
}

/// The webhook of a custom allocation policy. Its URL may carry a function key, hence a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CustomAllocation {
    /// Where to ask.
    pub webhook_url: Secret,
    /// The shape of the enrollment in the request.
    pub api_version: String,
}
