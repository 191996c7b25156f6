//! Asking the webhook of a custom allocation policy, and making its decision durable before anything is done about it.
//!
//! A decision that is saved is never asked for again, whoever goes on. One that is lost before it is saved has caused nothing: the
//! webhook is asked again and may decide otherwise.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{info, warn};
use usher_domain::{
    ErrorCode,
    allocation_question::Question,
    registration::{Operation, Registration},
};
use usher_records::Versioned;
use usher_registry::Tenant;
use usher_store::Expect;
use usher_webhook::{ASK_MAX, AskError, Fault, Verdict, judge};

use crate::{engine::Engine, transition, worker::OPERATION_MAX_MS};

/// How often a webhook that fails is asked again, the first pause, and by how much each later one is longer, in milliseconds: the
/// cloud's own figures (MicrosoftDocs/azure-docs: articles/iot-dps/tutorial-custom-allocation-policies.md, "Troubleshooting").
const RETRIES_MAX: u32 = 10;
const PAUSE_FIRST_MS: u64 = 1_000;
const PAUSE_STEP_MS: u64 = 9_000;
/// The longest pause that a webhook may wish for, in milliseconds: the operation must not end by waiting alone.
const PAUSE_WISHED_MAX_MS: u64 = 120_000;
/// The pause where too many questions to the same webhook are under way, in milliseconds.
const PAUSE_BUSY_MS: u64 = 5_000;
/// Pauses up to this long are waited for on this node, in milliseconds, without a place among the running. For longer ones the operation
/// is left to whoever comes first once they have passed: the device with its next poll, or the look for abandoned operations. So devices
/// that wait for a dead webhook hold nothing that others need.
const PAUSE_HERE_MAX_MS: u64 = 2_500;

/// How a try to get a decision ended.
pub enum Decided {
    /// The record says more than before: a plan, or how often it was tried.
    GoOn(Versioned<Registration>),
    /// Put off for a short while, as the new record says: it is for whoever asked to wait, and then to claim the operation again.
    Wait(Versioned<Registration>, Duration),
    /// The operation has failed, which the record has yet to say.
    Failed(Registration),
    /// There is nothing to do here for now: put off as the new record says, or, without one, another node is at work.
    NotHere(Option<Versioned<Registration>>),
}

/// Asks the webhook once.
pub async fn decide(engine: &Engine, tenant: &Tenant, record: &Versioned<Registration>, operation: &Operation) -> Decided {
    let Some(question) = &operation.question else {
        return fail(engine, record, operation, None, &lost_question());
    };
    let request = serde_json::to_vec(&question.request).unwrap_or_default();
    let asking = engine.ports.webhook.ask(&question.webhook.webhook_url, request);
    let outcome = timeout(ASK_MAX, asking).await.unwrap_or_else(|_| Err(AskError::Unavailable("no answer in time".into())));
    match judge(outcome, &question.hubs) {
        Verdict::Decided(answer) => {
            info!(operation_id = %operation.id, registration_id = %record.value.registration_id, webhook = question.webhook.server(),
                hub = %answer.hub, "the webhook has chosen");
            let planned = transition::decided(record.value.clone(), *answer, engine.now());
            save(tenant, record, planned).await.map_or(Decided::NotHere(None), Decided::GoOn)
        }
        Verdict::Never(fault) => fail(engine, record, operation, Some(question), &fault),
        Verdict::Later { fault, retry_after_s, asked } => {
            let failures = question.failures.saturating_add(u32::from(asked));
            let too_late = operation.started_at.plus_millis(OPERATION_MAX_MS) < engine.now();
            if failures > RETRIES_MAX || too_late {
                return fail(engine, record, operation, Some(question), &fault);
            }
            let pause_ms = pause_ms(failures, retry_after_s, asked);
            let pause_ms = pause_ms + u64::from_le_bytes(engine.random()) % (pause_ms / 4 + 1);
            info!(operation_id = %operation.id, registration_id = %record.value.registration_id, webhook = question.webhook.server(),
                failures, pause_ms, check = fault.check, detail = fault.detail, mend = fault.mend, "webhook not ready; asking again later");
            put_off(engine, tenant, record, asked, pause_ms).await
        }
    }
}

/// The pause after so many failures, without chance.
fn pause_ms(failures: u32, retry_after_s: Option<u32>, asked: bool) -> u64 {
    if !asked {
        return PAUSE_BUSY_MS;
    }
    let own = PAUSE_FIRST_MS + PAUSE_STEP_MS * u64::from(failures.saturating_sub(1));
    let wished = retry_after_s.map_or(0, |s| u64::from(s).saturating_mul(1_000)).min(PAUSE_WISHED_MAX_MS);
    own.max(wished)
}

async fn save(tenant: &Tenant, record: &Versioned<Registration>, changed: Registration) -> Option<Versioned<Registration>> {
    match tenant.registry.save_registration(&changed, Expect::Etag(record.etag), Vec::new()).await {
        Ok(etag) => Some(Versioned { value: changed, etag }),
        Err(why) => {
            let operation_id = record.value.state.operation_id();
            warn!(%operation_id, detail = %why, "the state of an allocation could not be saved; whoever goes on looks again");
            None
        }
    }
}

async fn put_off(engine: &Engine, tenant: &Tenant, record: &Versioned<Registration>, failed: bool, pause_ms: u64) -> Decided {
    let lease_ms = i64::try_from(pause_ms).unwrap_or(i64::MAX);
    let later = transition::put_off(record.value.clone(), failed, lease_ms, engine.now());
    let Some(later) = save(tenant, record, later).await else { return Decided::NotHere(None) };
    if pause_ms > PAUSE_HERE_MAX_MS {
        return Decided::NotHere(Some(later));
    }
    Decided::Wait(later, Duration::from_millis(pause_ms))
}

fn fail(engine: &Engine, record: &Versioned<Registration>, operation: &Operation, question: Option<&Question>, fault: &Fault) -> Decided {
    let webhook = question.map(|question| question.webhook.server()).unwrap_or_default();
    warn!(operation_id = %operation.id, registration_id = %record.value.registration_id, webhook, code = fault.code.code(),
        check = fault.check, detail = fault.detail, mend = fault.mend, "registration failed");
    Decided::Failed(transition::failed(record.value.clone(), fault.code.code(), fault.message.clone(), engine.now()))
}

/// For operations of versions that did not write down what to ask.
fn lost_question() -> Fault {
    Fault {
        check: "webhook.question",
        code: ErrorCode::CustomAllocationFailed,
        message: "Custom allocation failed: register again.".into(),
        detail: "the operation does not say what to ask: an earlier version began it".into(),
        mend: "Nothing: the device's next registration is a new operation.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_as_documented_and_wishes_count_within_bounds() {
        let pauses: Vec<u64> = (1..=RETRIES_MAX).map(|failures| pause_ms(failures, None, true) / 1_000).collect();
        assert_eq!(pauses, [1, 10, 19, 28, 37, 46, 55, 64, 73, 82]);
        assert_eq!(pause_ms(1, Some(7), true), 7_000);
        assert_eq!(pause_ms(3, Some(7), true), 19_000);
        assert_eq!(pause_ms(1, Some(u32::MAX), true), PAUSE_WISHED_MAX_MS);
        assert_eq!(pause_ms(9, None, false), PAUSE_BUSY_MS);
    }
}
