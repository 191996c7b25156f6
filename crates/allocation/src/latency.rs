//! Allocation by lowest latency: which hubs are as near as the nearest.

use usher_domain::service::LinkedHub;

/// How far a hub is from a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Milliseconds.
    pub ms: u32,
    /// How many milliseconds the figure may be off: hubs that are no farther than this behind the nearest tie with it.
    pub margin_ms: u32,
}

/// Least margin of a measured figure, in milliseconds: a busy node reads its clock this much late now and then.
const MEASURED_MARGIN_MIN_MS: u32 = 2;
/// The margin of a measured figure is this part of it: round trips over long ways change by as much from one hour to the next, and no
/// device should be moved for that.
const MEASURED_MARGIN_PART: u32 = 10;

impl Latency {
    /// A figure that somebody wrote down. Who writes 40 and 41 means that the first is nearer.
    pub fn stated(ms: u32) -> Self {
        Self { ms, margin_ms: 0 }
    }

    /// A figure that was measured.
    pub fn measured(ms: u32) -> Self {
        Self { ms, margin_ms: MEASURED_MARGIN_MIN_MS.max(ms / MEASURED_MARGIN_PART) }
    }
}

/// The hubs with the lowest known latency and those that tie with it; all of them where none is known.
pub fn nearest<'a>(hubs: &[&'a LinkedHub], latency: impl Fn(&LinkedHub) -> Option<Latency>) -> Vec<&'a LinkedHub> {
    let Some(lowest) = hubs.iter().filter_map(|hub| latency(hub)).min_by_key(|known| known.ms) else { return hubs.to_vec() };
    let ties = |known: Latency| known.ms <= lowest.ms.saturating_add(lowest.margin_ms);
    hubs.iter().copied().filter(|hub| latency(hub).is_some_and(ties)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use usher_domain::{HubName, RegistrationId, enrollment::AllocationPolicy, service::HubConnection};

    use super::*;
    use crate::{Decision, decide};

    fn hub(name: &str) -> LinkedHub {
        LinkedHub {
            name: HubName::parse(name).unwrap(),
            region: "here".into(),
            weight: 1,
            apply_allocation_policy: true,
            connection: HubConnection::Embedded,
        }
    }

    /// The hubs that a hundred devices are sent to.
    fn chosen(latency: impl Fn(&str) -> Option<Latency>) -> Vec<String> {
        let (a, b, c) = (hub("a"), hub("b"), hub("c"));
        let mut seen = BTreeSet::new();
        for n in 0..100 {
            let device = RegistrationId::parse(&format!("d{n}")).unwrap();
            let decision = decide(&AllocationPolicy::GeoLatency, &[&a, &b, &c], &device, |hub| latency(hub.name.as_str())).unwrap();
            let Decision::Hub(name) = decision else { panic!("no webhook here") };
            seen.insert(name.to_string());
        }
        seen.into_iter().collect()
    }

    #[test]
    fn lowest_latency_wins_and_ties_are_spread() {
        assert_eq!(chosen(|hub| Some(Latency::stated(if hub == "a" { 90 } else { 10 }))), ["b", "c"]);
        assert_eq!(chosen(|hub| Some(Latency::stated(if hub == "a" { 10 } else { 11 }))), ["a"]);
    }

    #[test]
    fn measured_figures_that_differ_by_noise_tie() {
        let near = |hub: &str| Some(Latency::measured(if hub == "a" { 1 } else { 3 }));
        assert_eq!(chosen(near), ["a", "b", "c"]);
        let far = |hub: &str| Some(Latency::measured(if hub == "a" { 100 } else { 111 }));
        assert_eq!(chosen(far), ["a"]);
    }

    #[test]
    fn a_hub_without_a_figure_loses_to_one_with_and_none_with_is_as_all() {
        assert_eq!(chosen(|hub| (hub == "b").then_some(Latency::stated(500))), ["b"]);
        assert_eq!(chosen(|_| None), ["a", "b", "c"]);
    }
}
