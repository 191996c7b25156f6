//! How remote hubs are doing, as metrics. Counters begin anew when a hub is linked with another connection.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use usher_hub::health::{BreakerHealth, HubHealth};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByHub {
    hub: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    hub: String,
    outcome: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

/// Registers what is known of each hub.
pub fn register(registry: &mut Registry, hubs: &[HubHealth]) {
    let (calls, slowest) = (Family::<ByOutcome, Counter>::default(), Family::<ByHub, Seconds>::default());
    let (in_flight, waiting, open) =
        (Family::<ByHub, Gauge>::default(), Family::<ByHub, Gauge>::default(), Family::<ByHub, Gauge>::default());
    for health in hubs {
        let hub = health.name.to_string();
        let answered = health.calls.saturating_sub(health.failed).saturating_sub(health.throttled);
        let outcomes = [("answered", answered), ("failed", health.failed), ("throttled", health.throttled), ("not made", health.refused)];
        for (outcome, count) in outcomes {
            calls.get_or_create(&ByOutcome { hub: hub.clone(), outcome }).inc_by(count);
        }
        let label = ByHub { hub };
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        in_flight.get_or_create(&label).inc_by(count(health.in_flight));
        waiting.get_or_create(&label).inc_by(count(health.waiting));
        // Of several connections to a hub the latest comes last, and is the one in use.
        let is_open = matches!(health.breaker, BreakerHealth::Open { .. } | BreakerHealth::HalfOpen);
        open.get_or_create(&label).set(i64::from(is_open));
        let longest = health.latencies.iter().max().copied().unwrap_or_default();
        slowest.get_or_create(&label).set(longest.as_secs_f64());
    }
    registry.register("hub_calls", "Calls to remote hubs by how they ended", calls);
    registry.register("hub_calls_in_flight", "Calls to remote hubs under way", in_flight);
    registry.register("hub_calls_waiting", "Callers that wait for a place at a remote hub", waiting);
    registry.register("hub_breaker_open", "1 where a remote hub has failed and is left alone for a while", open);
    registry.register_with_unit("hub_slowest_recent_call", "The slowest of the last 64 calls to a remote hub", Unit::Seconds, slowest);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use usher_domain::HubName;

    use super::*;

    #[test]
    fn each_hub_is_told_by_name() {
        let health = HubHealth {
            name: HubName::parse("hub.example").unwrap(),
            breaker: BreakerHealth::HalfOpen,
            in_flight: 2,
            waiting: 1,
            failures_in_a_row: 5,
            calls: 10,
            failed: 6,
            throttled: 1,
            refused: 9,
            latencies: vec![Duration::from_millis(20), Duration::from_millis(250)],
        };
        let mut registry = Registry::default();
        register(&mut registry, &[health.clone(), HubHealth { breaker: BreakerHealth::Closed, ..health }]);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "hub_calls_total{hub=\"hub.example\",outcome=\"failed\"} 12",
            "hub_calls_total{hub=\"hub.example\",outcome=\"answered\"} 6",
            "hub_calls_in_flight{hub=\"hub.example\"} 4",
            "hub_breaker_open{hub=\"hub.example\"} 0",
            "hub_slowest_recent_call_seconds{hub=\"hub.example\"} 0.25",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
