//! What became of attempts on this node, minute by minute, for the plots. In memory and bounded: it begins with the node.

use std::collections::BTreeMap;

use serde::Serialize;
use usher_domain::attempt::{Attempt, AttemptResult};

/// Minutes told: a day.
pub const MINUTES_MAX: i64 = 24 * 60;
/// Minutes with figures held of all services together; some 1 KiB each. Beyond, the oldest go first.
const HELD_MAX: usize = 20_000;
/// Causes of refusals told apart in one minute; further ones count as [`OTHER`].
const CAUSES_MAX: usize = 16;
/// Hubs told apart in one minute; further ones count as [`OTHER`].
const HUBS_MAX: usize = 32;
/// What could not be told apart any more.
const OTHER: &str = "other";
/// Steps of the latencies: up to 1, 2, 4 … 8192 ms, and longer.
pub const STEPS: usize = 15;

/// One minute of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Minute {
    /// When it began, in seconds since the Unix epoch.
    pub at: i64,
    /// Registrations that ended on a hub.
    pub assigned: u32,
    /// Those that failed, were refused or met a disabled enrollment, by the failed check.
    pub refused: BTreeMap<String, u32>,
    /// How long registrations took, by hub: how many took up to 1, 2, 4 … ms.
    pub hubs: BTreeMap<String, [u32; STEPS]>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Trends {
    minutes: BTreeMap<(i64, u32), Minute>,
}

impl Trends {
    /// Counts an attempt that has come to its end.
    pub fn add(&mut self, tenant: u32, attempt: &Attempt) {
        let result = attempt.outcome.result;
        if matches!(result, AttemptResult::Assigning | AttemptResult::Challenged) {
            return;
        }
        let at = attempt.at.secs().div_euclid(60).saturating_mul(60);
        let minute = self.minutes.entry((at, tenant)).or_insert_with(|| Minute { at, ..Minute::default() });
        if result == AttemptResult::Assigned {
            minute.assigned = minute.assigned.saturating_add(1);
            let hub = attempt.outcome.hub.as_ref().map_or(OTHER, |hub| hub.as_str());
            let steps = entry(&mut minute.hubs, hub, HUBS_MAX);
            if let Some(count) = steps.get_mut(step(attempt.took_ms)) {
                *count = count.saturating_add(1);
            }
        } else {
            let count = entry(&mut minute.refused, cause(attempt), CAUSES_MAX);
            *count = count.saturating_add(1);
        }
        if self.minutes.len() > HELD_MAX {
            self.minutes.pop_first();
        }
    }

    /// The minutes of a service with figures, of the day before `now` (in seconds), the earliest first.
    pub fn of(&self, tenant: u32, now: i64) -> Vec<&Minute> {
        let from = now.saturating_sub(MINUTES_MAX * 60);
        self.minutes.range((from, 0)..).filter(|((_, of), _)| *of == tenant).map(|(_, minute)| minute).collect()
    }
}

/// The check that an attempt failed at.
fn cause(attempt: &Attempt) -> &str {
    let failed = attempt.checks.iter().rev().find(|check| !check.passed);
    failed.map_or_else(|| attempt.outcome.result.word(), |check| check.name.as_str())
}

fn entry<'a, T: Default>(map: &'a mut BTreeMap<String, T>, name: &str, most: usize) -> &'a mut T {
    let name = if map.len() < most || map.contains_key(name) { name } else { OTHER };
    map.entry(name.to_owned()).or_default()
}

/// The step that a latency falls into: the first whose 2^step ms it does not exceed.
fn step(ms: u64) -> usize {
    let bits = u64::BITS.saturating_sub(ms.saturating_sub(1).leading_zeros());
    usize::try_from(if ms <= 1 { 0 } else { bits }).unwrap_or(STEPS).min(STEPS - 1)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// An attempt as the engine tells it, its tracking ID that of its device.
    pub fn attempt(id: &str, result: AttemptResult) -> Attempt {
        let checks = match result {
            AttemptResult::Refused => {
                json!([{"name": "idScope", "passed": true, "detail": ""}, {"name": "TokenSignature", "passed": false, "detail": ""}])
            }
            _ => json!([]),
        };
        let hub = (result == AttemptResult::Assigned).then_some("hub.example");
        serde_json::from_value(json!({
            "at": "2026-06-01T00:00:30Z", "tookMs": 3, "trackingId": id, "registrationId": id, "idScope": "0ne1", "request": "register",
            "transport": "mqtt", "peer": null, "apiVersion": "", "outcome": {"result": result, "hub": hub}, "checks": checks,
        }))
        .unwrap()
    }

    #[test]
    fn ends_are_counted_and_what_goes_on_is_not() {
        let mut trends = Trends::default();
        for result in
            [AttemptResult::Assigning, AttemptResult::Assigned, AttemptResult::Refused, AttemptResult::Failed, AttemptResult::Challenged]
        {
            trends.add(7, &attempt("d", result));
        }
        trends.add(8, &attempt("d", AttemptResult::Assigned));
        let now = 1_780_272_000 + 60;
        let told = trends.of(7, now);
        assert_eq!((told.len(), told[0].at, told[0].assigned), (1, 1_780_272_000, 1));
        assert_eq!(told[0].refused, BTreeMap::from([("TokenSignature".into(), 1), ("failed".into(), 1)]));
        assert_eq!(told[0].hubs["hub.example"].iter().sum::<u32>(), 1);
        assert!(trends.of(7, now + MINUTES_MAX * 60).is_empty());
    }

    #[test]
    fn latencies_fall_into_steps() {
        let cases = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8192, 13), (8193, 14), (u64::MAX, 14)];
        for (ms, expected) in cases {
            assert_eq!(step(ms), expected, "{ms} ms");
        }
    }

    #[test]
    fn names_that_never_end_are_bounded() {
        let mut minute = Minute::default();
        for n in 0..100 {
            *entry(&mut minute.refused, &format!("cause {n}"), CAUSES_MAX) += 1;
        }
        assert_eq!((minute.refused.len(), minute.refused[OTHER]), (CAUSES_MAX + 1, 84));
    }
}
