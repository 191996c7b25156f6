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

impl CustomAllocation {
    /// Scheme, host and port of the URL: all of it that may be shown.
    pub fn server(&self) -> String {
        let url = self.webhook_url.expose();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        format!("{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_of_a_webhook_is_shown() {
        for (url, shown) in [
            ("https://f.example:8443/api/x?code=hidden", "https://f.example:8443"),
            ("https://hidden:hidden@f.example?code=hidden", "https://f.example"),
            ("HTTP://localhost#hidden", "HTTP://localhost"),
        ] {
            let webhook = CustomAllocation { webhook_url: Secret::new(url), api_version: "2021-10-01".into() };
            assert_eq!(webhook.server(), shown);
            assert!(!format!("{webhook:?}").contains("hidden"));
        }
    }
}
