//! Allocation: which linked hub a device goes to. Pure decisions over plain values; asking a webhook or measuring latency is done by
//! others, who bring the answer here.

mod candidates;
mod hashed;

use std::fmt;

use usher_domain::{
    HubName, RegistrationId,
    enrollment::{AllocationPolicy, CustomAllocation},
    service::LinkedHub,
};

pub use candidates::candidates;
pub use hashed::hashed;

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
/// `latency_ms` gives a hub's latency to the device, where it is known; hubs that tie, and hubs without a figure when none has one,
/// are told apart by hashing.
pub fn decide(
    policy: &AllocationPolicy,
    hubs: &[&LinkedHub],
    registration_id: &RegistrationId,
    latency_ms: impl Fn(&LinkedHub) -> Option<u32>,
) -> Result<Decision, NoHub> {
    match policy {
        AllocationPolicy::Static => static_hub(hubs),
        AllocationPolicy::Hashed => hashed(hubs, registration_id).map(Decision::Hub),
        AllocationPolicy::GeoLatency => hashed(&nearest(hubs, latency_ms), registration_id).map(Decision::Hub),
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

/// The hubs with the lowest known latency; all of them where none is known.
fn nearest<'a>(hubs: &[&'a LinkedHub], latency_ms: impl Fn(&LinkedHub) -> Option<u32>) -> Vec<&'a LinkedHub> {
    let lowest = hubs.iter().filter_map(|hub| latency_ms(hub)).min();
    hubs.iter().copied().filter(|hub| latency_ms(hub) == lowest).collect()
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

    #[test]
    fn lowest_latency_wins_and_ties_are_spread() {
        let (a, b, c) = (hub("a", 1), hub("b", 1), hub("c", 1));
        let hubs = [&a, &b, &c];
        let latency = |hub: &LinkedHub| Some(if hub.name.as_str() == "a" { 90 } else { 10 });
        let mut seen = std::collections::BTreeSet::new();
        for n in 0..100 {
            let decision = decide(&AllocationPolicy::GeoLatency, &hubs, &device(&format!("d{n}")), latency).unwrap();
            let Decision::Hub(name) = decision else { panic!("no webhook here") };
            seen.insert(name.to_string());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn a_hub_without_a_figure_loses_to_one_with() {
        let (a, b) = (hub("a", 1), hub("b", 1));
        let latency = |hub: &LinkedHub| (hub.name.as_str() == "b").then_some(500);
        let decision = decide(&AllocationPolicy::GeoLatency, &[&a, &b], &device("d"), latency).unwrap();
        assert_eq!(decision, Decision::Hub(b.name));
    }
}
