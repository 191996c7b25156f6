//! The worker: takes an accepted operation to its end, however often hubs fail and whoever began it.
//!
//! An operation has a place among the running only while something is done for it. Between attempts it rests, so that the devices of
//! a hub that is down do not take the places of others.

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;
use tracing::{error, info, warn};
use usher_domain::{
    ErrorCode,
    registration::{Operation, Plan, Registration},
};
use usher_records::Versioned;
use usher_registry::Tenant;
use usher_store::Expect;

use crate::{
    ask::{self, Decided},
    assign::{Attempt, Reach, carry_out, remove_stray},
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
    let ended = work_on(engine, tenant, record, place, story).await;
    engine.keep(story, story::outcome_of(&ended.value));
    ended
}

async fn work_on(
    engine: &Engine,
    tenant: &Tenant,
    mut record: Versioned<Registration>,
    mut place: OwnedSemaphorePermit,
    story: &mut Story,
) -> Versioned<Registration> {
    let (mut tenant, mut pause_ms) = (tenant.clone(), PAUSE_MIN_MS);
    loop {
        let Some(operation) = transition::running(&record.value).cloned() else { return record };
        let Some(plan) = &operation.plan else {
            let decided = ask::decide(engine, &tenant, &record, &operation).await;
            story.webhook_asked(&decided);
            match decided {
                Decided::GoOn(further) => record = further,
                Decided::Failed(failed) => return settle(engine, &tenant, record, failed, false).await,
                Decided::NotHere(later) => return later.unwrap_or(record),
            }
            continue;
        };
        let asked_at = engine.now();
        let step = attempt(engine, &tenant, &operation, plan).await;
        story.hub_asked(&plan.hub, operation.attempts, step.failure(), asked_at, engine.now());
        match step {
            Step::Settle(plan) => {
                let reach = Reach { hubs: engine.ports.hubs.as_ref(), service: &tenant.service };
                let mut left = Vec::new();
                for stray in transition::strays_to_remove(&record.value, &plan) {
                    if !remove_stray(reach, stray).await {
                        left.push(stray.clone());
                    }
                }
                let settled = transition::assigned(record.value.clone(), &plan, left, engine.now());
                return settle(engine, &tenant, record, settled, true).await;
            }
            Step::Fail(code, why) => {
                warn!(operation_id = %operation.id, code = code.code(), check = code.name(), detail = why, "registration failed");
                let failed = transition::failed(record.value.clone(), code.code(), why, engine.now());
                return settle(engine, &tenant, record, failed, false).await;
            }
            Step::Wait { why, at_least_s } => {
                info!(operation_id = %operation.id, attempt = operation.attempts, detail = why, "hub not ready; trying again");
                engine.keep(story, story::outcome_of(&record.value));
                let wished_ms = at_least_s.map_or(0, |s| u64::from(s).saturating_mul(1_000));
                let jitter = u64::from_le_bytes(engine.random()) % (pause_ms / 2 + 1);
                let pause = Duration::from_millis((pause_ms + jitter).max(wished_ms).min(PAUSE_MAX_MS));
                place = match rest(engine, place, pause).await {
                    Some(place) => place,
                    None => return record,
                };
                pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
            }
        }
        tenant = as_it_is_now(engine, tenant).await;
        // The lease is renewed before the next attempt; losing it means that another node is at work.
        match claim_operation(engine, &tenant, record.clone()).await {
            Some(held) => record = held,
            None => return record,
        }
    }
}

/// Waits without a place among the running, and then for one. `None` where too many rest already: the operation's lease ends, and the
/// device's next poll or the look for abandoned operations goes on with it.
async fn rest(engine: &Engine, place: OwnedSemaphorePermit, pause: Duration) -> Option<OwnedSemaphorePermit> {
    let resting = Arc::clone(&engine.resting).try_acquire_owned().ok()?;
    drop(place);
    tokio::time::sleep(pause).await;
    let place = Arc::clone(&engine.running).acquire_owned().await.ok()?;
    drop(resting);
    Some(place)
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

/// Saves the end of an operation; a success is metered in the same commit.
async fn settle(
    engine: &Engine,
    tenant: &Tenant,
    record: Versioned<Registration>,
    settled: Registration,
    success: bool,
) -> Versioned<Registration> {
    let also = if success { vec![tenant.registry.meter(engine.now())] } else { Vec::new() };
    match tenant.registry.save_registration(&settled, Expect::Etag(record.etag), also).await {
        Ok(etag) => Versioned { value: settled, etag },
        Err(why) => {
            // Nothing is lost: the record still says what is to be done, and its lease will end.
            error!(detail = %why, "the end of an operation could not be saved; it will be taken over");
            record
        }
    }
}
