//! Decides whether a hub may be called now. Pure: what happened and when are arguments, times count from an origin of the caller's.
//!
//! Closed, calls pass. After [`FAILURES_MAX`] failures in a row, or at once where the hub refuses the credentials, it opens: nothing
//! is sent until a cool-down has passed. Then one call goes out as a probe; its success closes the breaker, its failure doubles the
//! cool-down. A hub that asks for patience (429) is left alone by everyone until it is over; that is no failure, for it answers.

use std::time::Duration;

/// Failures in a row that open the breaker: one lost answer is chance, five are not.
pub const FAILURES_MAX: u32 = 5;
/// The first cool-down.
pub const COOL_DOWN_MIN: Duration = Duration::from_secs(1);
/// The longest cool-down. Devices poll every few seconds: a hub that is back must not wait long to be noticed.
pub const COOL_DOWN_MAX: Duration = Duration::from_secs(15);
/// What callers are told to wait while a probe is under way.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// Why the breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The hub did not answer, or not as a hub.
    Failing,
    /// The hub refuses usher's credentials.
    Unauthorized,
}

/// Where the breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Calls pass.
    Closed,
    /// Nothing is sent before `until`.
    Open {
        /// When a probe may go out.
        until: Duration,
        /// What opened it.
        cause: Cause,
    },
    /// A probe is under way.
    HalfOpen {
        /// What opened it.
        cause: Cause,
    },
}

/// Leave to make one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// One of many.
    Usual,
    /// The one that decides whether the hub is back.
    Probe,
}

/// Why a call may not be made now, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The hub has asked for patience.
    Throttled {
        /// What is left of it.
        wait: Duration,
    },
    /// The breaker is open.
    Open {
        /// Until the next try.
        wait: Duration,
        /// What opened it.
        cause: Cause,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hub answered, if only to reject the request.
    Answered,
    /// It asks for patience.
    Throttled {
        /// For so long.
        wait: Duration,
    },
    /// It did not do its part.
    Failed(Cause),
}

/// The breaker of one hub.
#[derive(Clone, Debug)]
pub struct Breaker {
    stand: Stand,
    failures: u32,
    cool_down: Duration,
    patient_until: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { stand: Stand::Closed, failures: 0, cool_down: COOL_DOWN_MIN, patient_until: Duration::ZERO }
    }
}

impl Breaker {
    /// Whether a call would be refused at `now`. Changes nothing.
    pub fn refusal(&self, now: Duration) -> Option<Refusal> {
        let left = |until: Duration| until.saturating_sub(now);
        if self.patient_until > now {
            return Some(Refusal::Throttled { wait: left(self.patient_until) });
        }
        match self.stand {
            Stand::Closed => None,
            Stand::Open { until, cause } if until > now => Some(Refusal::Open { wait: left(until), cause }),
            Stand::Open { .. } => None,
            Stand::HalfOpen { cause } => Some(Refusal::Open { wait: PROBE_WAIT, cause }),
        }
    }

    /// Asks for leave to make a call at `now`. Whoever gets a pass must [`record`](Self::record) how the call ended.
    pub fn admit(&mut self, now: Duration) -> Result<Pass, Refusal> {
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        match self.stand {
            Stand::Open { cause, .. } => {
                self.stand = Stand::HalfOpen { cause };
                Ok(Pass::Probe)
            }
            _ => Ok(Pass::Usual),
        }
    }

    /// Notes how a call ended at `now`. Calls that began before the breaker opened and end later no longer decide anything.
    pub fn record(&mut self, pass: Pass, outcome: Outcome, now: Duration) {
        if let Outcome::Throttled { wait } = outcome {
            self.patient_until = self.patient_until.max(now.saturating_add(wait));
        }
        if pass == Pass::Usual && self.stand != Stand::Closed {
            return;
        }
        match outcome {
            Outcome::Answered | Outcome::Throttled { .. } => {
                (self.stand, self.failures, self.cool_down) = (Stand::Closed, 0, COOL_DOWN_MIN);
            }
            Outcome::Failed(cause) => {
                self.failures = self.failures.saturating_add(1);
                if pass == Pass::Probe || cause == Cause::Unauthorized || self.failures >= FAILURES_MAX {
                    self.stand = Stand::Open { until: now.saturating_add(self.cool_down), cause };
                    self.cool_down = self.cool_down.saturating_mul(2).min(COOL_DOWN_MAX);
                }
            }
        }
    }

    /// Where it stands.
    pub fn stand(&self) -> Stand {
        self.stand
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FAILED: Outcome = Outcome::Failed(Cause::Failing);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            let pass = breaker.admit(at(0)).unwrap();
            breaker.record(pass, FAILED, at(0));
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::default();
        for n in 0..100 {
            let pass = breaker.admit(at(n)).unwrap();
            breaker.record(pass, if n % u64::from(FAILURES_MAX) == 0 { Outcome::Answered } else { FAILED }, at(n));
        }
        assert_eq!(breaker.stand(), Stand::Closed);
        let mut breaker = opened();
        let refusal = breaker.admit(at(400)).unwrap_err();
        assert_eq!(refusal, Refusal::Open { wait: at(600), cause: Cause::Failing });
    }

    #[test]
    fn one_probe_goes_out_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(1_000)), Ok(Pass::Probe));
        assert!(matches!(breaker.admit(at(1_000)), Err(Refusal::Open { .. })), "one is enough");
        breaker.record(Pass::Probe, FAILED, at(1_500));
        assert_eq!(breaker.admit(at(1_500)), Err(Refusal::Open { wait: at(2_000), cause: Cause::Failing }));
        assert_eq!(breaker.admit(at(3_500)), Ok(Pass::Probe));
        breaker.record(Pass::Probe, Outcome::Answered, at(3_600));
        assert_eq!(breaker.admit(at(3_600)), Ok(Pass::Usual));
    }

    #[test]
    fn cool_downs_grow_to_a_limit_and_start_anew() {
        let (mut breaker, mut now) = (opened(), at(0));
        for _ in 0..10 {
            now += COOL_DOWN_MAX;
            assert_eq!(breaker.admit(now), Ok(Pass::Probe));
            breaker.record(Pass::Probe, FAILED, now);
        }
        assert_eq!(breaker.admit(now), Err(Refusal::Open { wait: COOL_DOWN_MAX, cause: Cause::Failing }));
        now += COOL_DOWN_MAX;
        assert_eq!(breaker.admit(now), Ok(Pass::Probe));
        breaker.record(Pass::Probe, Outcome::Answered, now);
        breaker.record(Pass::Usual, Outcome::Failed(Cause::Unauthorized), now);
        assert_eq!(breaker.admit(now), Err(Refusal::Open { wait: COOL_DOWN_MIN, cause: Cause::Unauthorized }));
    }

    #[test]
    fn what_began_before_it_opened_decides_nothing() {
        let mut breaker = opened();
        breaker.record(Pass::Usual, Outcome::Answered, at(10));
        assert!(breaker.admit(at(10)).is_err());
        breaker.record(Pass::Usual, FAILED, at(900));
        assert_eq!(breaker.admit(at(1_000)), Ok(Pass::Probe), "the cool-down did not begin anew");
    }

    #[test]
    fn a_throttling_hub_is_left_alone_by_everyone_and_then_called() {
        let mut breaker = Breaker::default();
        breaker.record(Pass::Usual, Outcome::Throttled { wait: at(7_000) }, at(100));
        breaker.record(Pass::Usual, Outcome::Throttled { wait: at(1_000) }, at(200));
        assert_eq!(breaker.admit(at(1_500)), Err(Refusal::Throttled { wait: at(5_600) }));
        assert_eq!(breaker.admit(at(7_100)), Ok(Pass::Usual));
        let mut probed = opened();
        assert_eq!(probed.admit(at(1_000)), Ok(Pass::Probe));
        probed.record(Pass::Probe, Outcome::Throttled { wait: at(500) }, at(1_000));
        assert_eq!(probed.admit(at(1_500)), Ok(Pass::Usual));
    }
}
