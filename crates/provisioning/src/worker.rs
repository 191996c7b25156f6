//! The worker: takes an accepted operation to its end, however often hubs fail and whoever began it.
//!
//! An operation has a place among the running only while something is done for it. Between attempts it rests, so that the devices of
//! a hub or webhook that is down do not take the places of others.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;
use tracing::{error, info, warn};
use usher_domain::{
    ErrorCode,
    registration::{Operation, Plan, Registration, Stray},
};
use usher_records::Versioned;
use usher_registry::Tenant;
use usher_store::Expect;

use crate::{
    ask::{self, Decided},
    assign::{Attempt, Reach, carry_out, remove_stray},
    certify::{self, Certified},
    engine::Engine,
    story::{self, Story},
    transition,
};

/// An operation that has not ended after this long has failed, in milliseconds: by then the device has given up and will ask anew.
pub const OPERATION_MAX_MS: i64 = 600_000;
/// First pause after a failed attempt, in milliseconds; doubled each time.
const PAUSE_MIN_MS: u64 = 200;
/// Longest pause, in milliseconds; well under a lease, which is renewed before each attempt.
const PAUSE_MAX_MS: u64 = 10_000;

/// Takes an operation that this node did not begin. `None` where another node was faster.
pub async fn claim_operation(engine: &Engine, tenant: &Tenant, record: Versioned<Registration>) -> Option<Versioned<Registration>> {
    let held = transition::hold(record.value, engine.now());
    match tenant.registry.save_registration(&held, Expect::Etag(record.etag), Vec::new()).await {
        Ok(etag) => Some(Versioned { value: held, etag }),
        Err(_) => None,
    }
}

/// Works until the operation is settled, taken by another node or left to be taken over; returns the record as it then stands. `place`
/// is its place among the running. What is done goes into the story, which is kept at the end.
pub async fn work(
    engine: &Engine,
    tenant: &Tenant,
    record: Versioned<Registration>,
    place: OwnedSemaphorePermit,
    story: &mut Story,
) -> Versioned<Registration> {
    let mut worker = Worker { engine, tenant: tenant.clone(), record, place: Some(place), pause_ms: PAUSE_MIN_MS };
    while worker.step(story).await.is_continue() {}
    engine.keep(story, story::outcome_of(&worker.record.value));
    worker.record
}

/// One operation at work.
struct Worker<'a> {
    engine: &'a Engine,
    tenant: Tenant,
    /// As it was saved last.
    record: Versioned<Registration>,
    /// Its place among the running; none while it rests.
    place: Option<OwnedSemaphorePermit>,
    /// The pause after the next failed attempt, in milliseconds.
    pause_ms: u64,
}

impl Worker<'_> {
    /// Does the next thing. It is the last where the operation has ended or is for others to go on with.
    async fn step(&mut self, story: &mut Story) -> ControlFlow<()> {
        let Some(operation) = transition::running(&self.record.value).cloned() else { return ControlFlow::Break(()) };
        match &operation.plan {
            None => self.ask(&operation, story).await,
            Some(_) if certify::is_due(&operation) => self.certify(&operation, story).await,
            Some(plan) => self.attempt(&operation, plan, story).await,
        }
    }

    /// Asks the webhook for a plan.
    async fn ask(&mut self, operation: &Operation, story: &mut Story) -> ControlFlow<()> {
        let decided = ask::decide(self.engine, &self.tenant, &self.record, operation).await;
        story.webhook_asked(&decided);
        match decided {
            Decided::GoOn(further) => {
                self.record = further;
                ControlFlow::Continue(())
            }
            Decided::Wait(later, pause) => {
                self.record = later;
                self.rest(pause).await?;
                self.hold().await
            }
            Decided::Failed(failed) => self.settle(failed, false).await,
            Decided::NotHere(later) => {
                if let Some(later) = later {
                    self.record = later;
                }
                ControlFlow::Break(())
            }
        }
    }

    /// Has the device's key certified, where it asked for that: before the hub is told which certificate will come.
    async fn certify(&mut self, operation: &Operation, story: &mut Story) -> ControlFlow<()> {
        let certified = certify::certify(self.engine, &self.tenant, &self.record, operation).await;
        story.authority_asked(&certified);
        match certified {
            Certified::GoOn(further) => {
                self.record = further;
                ControlFlow::Continue(())
            }
            Certified::Wait { at_least_s, .. } => self.wait(at_least_s, story).await,
            Certified::Failed(failed, _) => self.settle(failed, false).await,
            Certified::NotHere => ControlFlow::Break(()),
        }
    }

    /// Does what the plan says at the hub.
    async fn attempt(&mut self, operation: &Operation, plan: &Plan, story: &mut Story) -> ControlFlow<()> {
        let asked_at = self.engine.now();
        let step = attempt(self.engine, &self.tenant, operation, plan).await;
        story.hub_asked(&plan.hub, operation.attempts, step.failure(), asked_at, self.engine.now());
        match step {
            Step::Settle(plan) => {
                let left = self.remove_strays(&plan).await;
                let settled = transition::assigned(self.record.value.clone(), &plan, left, self.engine.now());
                self.settle(settled, true).await
            }
            Step::Fail(code, why) => {
                warn!(operation_id = %operation.id, code = code.code(), check = code.name(), detail = why, "registration failed");
                let failed = transition::failed(self.record.value.clone(), code.code(), why, self.engine.now());
                self.settle(failed, false).await
            }
            Step::Wait { why, at_least_s } => {
                info!(operation_id = %operation.id, attempt = operation.attempts, detail = why, "hub not ready; trying again");
                self.wait(at_least_s, story).await
            }
        }
    }

    /// Rests before the next attempt, and takes the operation again.
    async fn wait(&mut self, at_least_s: Option<u32>, story: &Story) -> ControlFlow<()> {
        self.engine.keep(story, story::outcome_of(&self.record.value));
        let pause = self.next_pause(at_least_s);
        self.rest(pause).await?;
        self.tenant = as_it_is_now(self.engine, self.tenant.clone()).await;
        self.hold().await
    }

    /// Removes the device from where it is no longer to be; returns where it could not be.
    async fn remove_strays(&self, plan: &Plan) -> Vec<Stray> {
        let reach = Reach { hubs: self.engine.ports.hubs.as_ref(), service: &self.tenant.service };
        let mut left = Vec::new();
        for stray in transition::strays_to_remove(&self.record.value, plan) {
            if !remove_stray(reach, stray).await {
                left.push(stray.clone());
            }
        }
        left
    }

    /// The pause before the next attempt: doubled each time, with chance, and no shorter than the hub wishes within bounds.
    fn next_pause(&mut self, at_least_s: Option<u32>) -> Duration {
        let wished_ms = at_least_s.map_or(0, |s| u64::from(s).saturating_mul(1_000));
        let jitter = u64::from_le_bytes(self.engine.random()) % (self.pause_ms / 2 + 1);
        let pause_ms = (self.pause_ms + jitter).max(wished_ms).min(PAUSE_MAX_MS);
        self.pause_ms = (self.pause_ms * 2).min(PAUSE_MAX_MS);
        Duration::from_millis(pause_ms)
    }

    /// Waits without a place among the running, and then for one. It is the end where too many rest already: the operation's lease ends,
    /// and the device's next poll or the look for abandoned operations goes on with it.
    async fn rest(&mut self, pause: Duration) -> ControlFlow<()> {
        let Ok(resting) = Arc::clone(&self.engine.resting).try_acquire_owned() else { return ControlFlow::Break(()) };
        drop(self.place.take());
        tokio::time::sleep(pause).await;
        let Ok(place) = Arc::clone(&self.engine.running).acquire_owned().await else { return ControlFlow::Break(()) };
        self.place = Some(place);
        drop(resting);
        ControlFlow::Continue(())
    }

    /// Renews the lease. Losing it means that another node is at work.
    async fn hold(&mut self) -> ControlFlow<()> {
        match claim_operation(self.engine, &self.tenant, self.record.clone()).await {
            Some(held) => {
                self.record = held;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }

    /// Saves the end of the operation; a success is metered in the same commit.
    async fn settle(&mut self, settled: Registration, success: bool) -> ControlFlow<()> {
        let registry = &self.tenant.registry;
        let also = if success { vec![registry.meter(self.engine.now())] } else { Vec::new() };
        match registry.save_registration(&settled, Expect::Etag(self.record.etag), also).await {
            Ok(etag) => self.record = Versioned { value: settled, etag },
            // Nothing is lost: the record still says what is to be done, and its lease will end.
            Err(why) => error!(detail = %why, "the end of an operation could not be saved; it will be taken over"),
        }
        ControlFlow::Break(())
    }
}

/// The service as it is now: an operator may have mended a hub's credentials meanwhile. Where it cannot be read, as it was.
async fn as_it_is_now(engine: &Engine, tenant: Tenant) -> Tenant {
    match engine.ports.directory.by_name(&tenant.service.name).await {
        Ok(Some(now)) if now.service.tenant == tenant.service.tenant => now,
        _ => tenant,
    }
}

enum Step {
    Settle(Plan),
    Fail(ErrorCode, String),
    Wait { why: String, at_least_s: Option<u32> },
}

impl Step {
    /// Why the hub did not do its part, where it did not.
    fn failure(&self) -> Option<&str> {
        match self {
            Self::Settle(_) => None,
            Self::Fail(_, why) | Self::Wait { why, .. } => Some(why),
        }
    }
}

async fn attempt(engine: &Engine, tenant: &Tenant, operation: &Operation, plan: &Plan) -> Step {
    let reach = Reach { hubs: engine.ports.hubs.as_ref(), service: &tenant.service };
    match carry_out(reach, operation, plan).await {
        Attempt::Done => Step::Settle(plan.clone()),
        Attempt::Never { code, why } => Step::Fail(code, why),
        Attempt::Later { why, at_last, .. } if operation.started_at.plus_millis(OPERATION_MAX_MS) < engine.now() => {
            Step::Fail(at_last, format!("The hub did not take the device for ten minutes. {why}"))
        }
        Attempt::Later { why, retry_after_s, .. } => Step::Wait { why, at_least_s: retry_after_s },
    }
}
