//! A hub behind a limit and a breaker, so that a slow or dead hub costs its own devices time and nobody else's.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};
use tracing::{error, info, warn};
use usher_domain::{
    DeviceId, HubName,
    hub_device::{DeviceSpec, InitialTwin},
};

use crate::{
    BoxFuture, Hub, HubError, TwinWrite,
    breaker::{Breaker, Cause, Outcome, Pass, Refusal, Stand},
    health::{BreakerHealth, HubHealth, Tally},
};

/// Calls to one hub at a time. Beyond some dozens a hub does not get faster, only its answers slower.
pub const IN_FLIGHT_MAX: usize = 64;
/// Callers that may wait for a place. Each of them keeps an operation from resting, so there are few.
pub const WAITING_MAX: usize = 256;
/// The longest wait for a place.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(1);
/// The longest a call may take, all its requests together. With the wait it stays within what provisioning allows for a call.
const CALL_MAX: Duration = Duration::from_millis(6_500);
/// What a caller is told who found no place, in seconds.
const CROWDED_RETRY_S: u32 = 1;

/// A hub behind a limit and a breaker.
pub struct Guarded<H> {
    name: HubName,
    hub: H,
    places: Semaphore,
    waiting: AtomicUsize,
    origin: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    breaker: Breaker,
    tally: Tally,
}

impl<H: Hub> Guarded<H> {
    /// Guards `hub`, which the log calls `name`.
    pub fn new(name: HubName, hub: H) -> Self {
        let (places, waiting) = (Semaphore::new(IN_FLIGHT_MAX), AtomicUsize::new(0));
        Self { name, hub, places, waiting, origin: Instant::now(), state: Mutex::default() }
    }

    /// How the hub has been doing.
    pub fn health(&self) -> HubHealth {
        let now = self.now();
        let in_flight = IN_FLIGHT_MAX.saturating_sub(self.places.available_permits());
        let state = self.state();
        let tally = &state.tally;
        HubHealth {
            name: self.name.clone(),
            breaker: breaker_health(&state.breaker, now),
            in_flight,
            waiting: self.waiting.load(Ordering::Relaxed),
            failures_in_a_row: state.breaker.failures(),
            calls: tally.calls,
            failed: tally.failed,
            throttled: tally.throttled,
            refused: tally.refused,
            latencies: tally.latencies(),
        }
    }

    /// Makes a call where that is allowed now.
    async fn call<T>(&self, work: BoxFuture<'_, Result<T, HubError>>) -> Result<T, HubError> {
        // Asked first without a claim: whoever would be refused anyway must not stand in the queue.
        let refusal = self.state().breaker.refusal(self.now());
        if let Some(refusal) = refusal {
            return Err(self.refuse(refusal));
        }
        let _place = self.place().await?;
        let admitted = self.state().breaker.admit(self.now());
        let ticket = Ticket { guarded: self, pass: admitted.map_err(|refusal| self.refuse(refusal))?, since: self.now(), open: true };
        let outcome = timeout(CALL_MAX, work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(HubError::Unavailable(format!("no answer within {} ms", CALL_MAX.as_millis()))));
        ticket.close(outcome.as_ref().err());
        outcome
    }

    async fn place(&self) -> Result<SemaphorePermit<'_>, HubError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let crowded = || {
            self.state().tally.refused += 1;
            HubError::Throttled { retry_after_s: CROWDED_RETRY_S }
        };
        let _waiting = Waiting::join(&self.waiting).ok_or_else(crowded)?;
        match timeout(PLACE_WAIT_MAX, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(crowded()),
        }
    }

    fn refuse(&self, refusal: Refusal) -> HubError {
        self.state().tally.refused += 1;
        let seconds = |wait: Duration| u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        match refusal {
            Refusal::Throttled { wait } => HubError::Throttled { retry_after_s: seconds(wait) },
            Refusal::Open { wait, cause: Cause::Failing } => {
                HubError::Unavailable(format!("it has failed several times; the next try is in {} s", seconds(wait)))
            }
            Refusal::Open { wait, cause: Cause::Unauthorized } => {
                HubError::Unauthorized(format!("as of the last try; the next is in {} s", seconds(wait)))
            }
        }
    }

    /// Notes how a call ended and tells the log where that changes what comes next.
    fn settle(&self, pass: Pass, since: Duration, failure: Option<&HubError>) {
        let now = self.now();
        let outcome = outcome_of(failure);
        let mut state = self.state();
        let before = state.breaker.stand();
        state.breaker.record(pass, outcome, now);
        let after = state.breaker.stand();
        state.tally.calls += 1;
        state.tally.failed += u64::from(matches!(outcome, Outcome::Failed(_)));
        state.tally.throttled += u64::from(matches!(outcome, Outcome::Throttled { .. }));
        state.tally.took(now.saturating_sub(since));
        drop(state);
        self.tell(before, after, failure);
    }

    fn tell(&self, before: Stand, after: Stand, failure: Option<&HubError>) {
        let (hub, detail) = (&self.name, failure.map(HubError::to_string).unwrap_or_default());
        match (before, after) {
            (Stand::Closed | Stand::HalfOpen { .. }, Stand::Open { cause: Cause::Unauthorized, .. }) => {
                let mend = "Check the hub's shared access policy: its key, and the rights RegistryRead, RegistryWrite and ServiceConnect. \
                    Then link the hub anew with its present connection string. Devices wait meanwhile, for ten minutes each.";
                error!(%hub, detail, mend, "the hub refuses the service's credentials");
            }
            (Stand::Closed, Stand::Open { .. }) => warn!(%hub, detail, "the hub is failing and left alone for a while; its devices wait"),
            (Stand::HalfOpen { .. }, Stand::Closed) => info!(%hub, "the hub is back"),
            _ => {}
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Where its caller goes away before it ends, that counts as a failure: a probe must end somehow.
struct Ticket<'a, H: Hub> {
    guarded: &'a Guarded<H>,
    pass: Pass,
    since: Duration,
    open: bool,
}

impl<H: Hub> Ticket<'_, H> {
    fn close(mut self, failure: Option<&HubError>) {
        self.open = false;
        self.guarded.settle(self.pass, self.since, failure);
    }
}

impl<H: Hub> Drop for Ticket<'_, H> {
    fn drop(&mut self) {
        if self.open {
            self.guarded.settle(self.pass, self.since, Some(&HubError::Unavailable("the call was given up".into())));
        }
    }
}

/// A place in the queue, given back when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn outcome_of(failure: Option<&HubError>) -> Outcome {
    match failure {
        None | Some(HubError::Rejected(_)) => Outcome::Answered,
        Some(HubError::Throttled { retry_after_s }) => Outcome::Throttled { wait: Duration::from_secs(u64::from(*retry_after_s)) },
        Some(HubError::Unavailable(_)) => Outcome::Failed(Cause::Failing),
        Some(HubError::Unauthorized(_)) => Outcome::Failed(Cause::Unauthorized),
    }
}

fn breaker_health(breaker: &Breaker, now: Duration) -> BreakerHealth {
    match (breaker.refusal(now), breaker.stand()) {
        (Some(Refusal::Throttled { wait }), _) => BreakerHealth::Patient { left: wait },
        (_, Stand::Closed) => BreakerHealth::Closed,
        (_, Stand::HalfOpen { .. }) => BreakerHealth::HalfOpen,
        (_, Stand::Open { until, cause }) => BreakerHealth::Open { left: until.saturating_sub(now), cause },
    }
}

impl<H: Hub> Hub for Guarded<H> {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(self.call(self.hub.ensure_device(spec, twin)))
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(self.call(self.hub.read_twin(device_id)))
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(self.call(self.hub.delete_device(device_id)))
    }
}
