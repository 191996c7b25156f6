//! The allocation webhook of the custom policy: what it is asked, what counts as an answer, and the port to ask it through.
//!
//! The contract is that of the cloud's Azure Functions; docs/protocol/webhook.md says where each rule comes from. [`request`] and
//! [`judge`] decide and touch nothing. Adapters implement [`AllocationWebhook`]; [`fake::FakeWebhook`] stands in for them in tests.

mod answer;
mod ask_error;
pub mod fake;
mod judge;
mod request;

use std::{future::Future, pin::Pin, time::Duration};

use usher_domain::Secret;

pub use answer::Answer;
pub use ask_error::AskError;
pub use judge::{Fault, Verdict, judge};
pub use request::{AllocationRequest, DeviceRuntimeContext, X509Context};

/// The longest that [`AllocationWebhook::ask`] may take, waiting for a turn included. Well under the lease of an operation, so that it is
/// not taken over while its node waits.
pub const ASK_MAX: Duration = Duration::from_secs(20);
/// The largest answer that is read, in bytes: the largest twin and the largest payload, generously indented.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A boxed future, so that the port can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What came back, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, where it was given in seconds.
    pub retry_after_s: Option<u32>,
    /// The body, at most [`ANSWER_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

/// Asks webhooks.
pub trait AllocationWebhook: Send + Sync + 'static {
    /// Posts `request`, JSON, to `url`, which may carry a function key and is never shown. Takes no longer than [`ASK_MAX`]; the caller may
    /// also drop the future at any await. Whoever answers may be asked the same again, after a crash or a lost answer.
    fn ask<'a>(&'a self, url: &'a Secret, request: Vec<u8>) -> BoxFuture<'a, Result<Reply, AskError>>;
}
