//! Who may do what: devices by their own credentials or a policy's, operators by a policy's.
//!
//! A refusal is told in full to the log, under a tracking ID, and in one sentence to the client.

mod device;
mod service;

use std::fmt;

pub use device::{Admission, Evidence, judge_device};
pub use service::{ServiceEvidence, ServiceRefusal, judge_service};

/// Why somebody was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The check that failed, for filters.
    pub check: &'static str,
    /// What was found. Holds no secret.
    pub detail: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.detail)
    }
}
