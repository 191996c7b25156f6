//! Allocation: which linked hub a device goes to. Pure decisions over plain values; asking a webhook or measuring latency is done by
//! others, who bring the answer here.

mod candidates;
mod hashed;
mod latency;

use std::fmt;

use usher_domain::{
    HubName, RegistrationId,
    enrollment::{AllocationPolicy, CustomAllocation},
    service::LinkedHub,
};

pub use candidates::candidates;
pub use hashed::{hashed, lots};
pub use latency::{Latency, nearest};

/// What a policy says about a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes to this hub.
    Hub(HubName),
    /// A webhook must be asked.
    AskWebhook {
        /// The custom policy's webhook.
        webhook: CustomAllocation,
        /// The hubs to choose from; at least one.
        hubs: Vec<HubName>,
    },
}

/// Why no hub was chosen. Fit for an operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoHub(pub String);

impl fmt::Display for NoHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoHub {}

/// Decides by `policy` among `hubs`, which [`candidates`] has narrowed down.
///
/// `latency` gives a hub's latency to the device, where it is known; hubs that tie, and hubs without a figure when none has one, are
/// told apart by hashing.
pub fn decide(
    policy: &AllocationPolicy,
    hubs: &[&LinkedHub],
    registration_id: &RegistrationId,
    latency: impl Fn(&LinkedHub) -> Option<Latency>,
) -> Result<Decision, NoHub> {
    match policy {
        AllocationPolicy::Static => static_hub(hubs),
        AllocationPolicy::Hashed => hashed(hubs, registration_id).map(Decision::Hub),
        AllocationPolicy::GeoLatency => hashed(&nearest(hubs, latency), registration_id).map(Decision::Hub),
        AllocationPolicy::Custom(_) if hubs.is_empty() => Err(NoHub("the custom policy has no linked hub to choose from".into())),
        AllocationPolicy::Custom(webhook) => {
            Ok(Decision::AskWebhook { webhook: webhook.clone(), hubs: hubs.iter().map(|hub| hub.name.clone()).collect() })
        }
    }
}

/// Static by enrollment: exactly the first hub it names, whatever its weight.
fn static_hub(hubs: &[&LinkedHub]) -> Result<Decision, NoHub> {
    match hubs.first() {
        Some(hub) => Ok(Decision::Hub(hub.name.clone())),
        None => Err(NoHub("the static policy names no hub that is linked: link the hub or change the enrollment".into())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use usher_domain::service::HubConnection;

    fn hub(name: &str, weight: u32) -> LinkedHub {
        LinkedHub {
            name: HubName::parse(name).unwrap(),
            region: "here".into(),
            weight,
            apply_allocation_policy: true,
            connection: HubConnection::Embedded,
        }
    }

    fn device(id: &str) -> RegistrationId {
        RegistrationId::parse(id).unwrap()
    }

    #[test]
    fn static_takes_the_first_named_hub() {
        let (a, b) = (hub("a", 0), hub("b", 1));
        let decision = decide(&AllocationPolicy::Static, &[&a, &b], &device("d"), |_| None).unwrap();
        assert_eq!(decision, Decision::Hub(a.name));
        assert!(decide(&AllocationPolicy::Static, &[], &device("d"), |_| None).is_err());
    }

    #[test]
    fn custom_asks_its_webhook_about_all_candidates_whatever_their_weight() {
        let (a, b) = (hub("a", 0), hub("b", 1));
        let webhook = CustomAllocation { webhook_url: usher_domain::Secret::new("https://f.example/"), api_version: "2021-10-01".into() };
        let policy = AllocationPolicy::Custom(webhook.clone());
        let decision = decide(&policy, &[&a, &b], &device("d"), |_| None).unwrap();
        assert_eq!(decision, Decision::AskWebhook { webhook, hubs: vec![a.name, b.name] });
        assert!(decide(&policy, &[], &device("d"), |_| None).is_err());
    }
}
