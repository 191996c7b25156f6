//! A webhook in memory that decides as it is told, keeps what it was asked, and can be told to fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use usher_domain::Secret;

use crate::{AllocationWebhook, AskError, BoxFuture, Reply};

/// How a fake webhook decides: from the request to status and body.
type Decide = Box<dyn FnMut(&Value) -> (u16, Value) + Send>;

struct State {
    decide: Decide,
    next: VecDeque<Result<Reply, AskError>>,
    asked: Vec<(String, Value)>,
}

/// A webhook in memory. It chooses the first hub unless it is told otherwise.
#[derive(Clone)]
pub struct FakeWebhook(Arc<Mutex<State>>);

impl Default for FakeWebhook {
    fn default() -> Self {
        let first = |request: &Value| (200, json!({ "iotHubHostName": request["linkedHubs"][0] }));
        Self(Arc::new(Mutex::new(State { decide: Box::new(first), next: VecDeque::new(), asked: Vec::new() })))
    }
}

impl FakeWebhook {
    /// Decides like this from now on.
    pub fn decide(&self, decide: impl FnMut(&Value) -> (u16, Value) + Send + 'static) {
        self.state().decide = Box::new(decide);
    }

    /// The outcomes of the next questions, one each, in this order; whatever was queued before is dropped.
    pub fn answer_next(&self, outcomes: impl IntoIterator<Item = Result<Reply, AskError>>) {
        self.state().next = outcomes.into_iter().collect();
    }

    /// URLs and requests so far, in order.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AllocationWebhook for FakeWebhook {
    fn ask<'a>(&'a self, url: &'a Secret, request: Vec<u8>) -> BoxFuture<'a, Result<Reply, AskError>> {
        Box::pin(async move {
            let mut state = self.state();
            let request = serde_json::from_slice(&request).unwrap_or_default();
            state.asked.push((url.expose().to_owned(), request));
            if let Some(outcome) = state.next.pop_front() {
                return outcome;
            }
            let State { decide, asked, .. } = &mut *state;
            let (status, body) = asked.last().map_or((500, Value::Null), |(_, request)| decide(request));
            Ok(Reply { status, retry_after_s: None, body: serde_json::to_vec(&body).unwrap_or_default() })
        })
    }
}
