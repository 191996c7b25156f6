//! Why a device could not be provisioned, in words for whoever holds it.

use std::{fmt, io};

/// A failure: the step it happened in, what happened, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that failed.
    pub step: &'static str,
    /// What happened.
    pub what: String,
    /// What to do next.
    pub next: String,
}

impl Failure {
    /// A failure in a step.
    pub fn new(step: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { step, what: what.into(), next: next.into() }
    }

    /// The device's own settings are wrong.
    pub fn settings(what: impl Into<String>) -> Self {
        Self::new("settings", what, "Correct the device's settings.")
    }

    /// The network or TLS failed.
    pub fn network(step: &'static str, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::ConnectionRefused => "Is the server running, and is this its port?",
            io::ErrorKind::TimedOut => "Is the host reachable from here?",
            _ => "Check the host name, the port and the trusted root (--trust).",
        };
        Self::new(step, error.to_string(), next)
    }

    /// The service refused. Its answer holds the tracking ID by which its log tells why.
    pub fn refused(step: &'static str, status: u16, body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let message = json["message"].as_str().unwrap_or("no message");
        let code = json["errorCode"].as_u64().map(|code| format!(" (error code {code})")).unwrap_or_default();
        let next = match json["trackingId"].as_str() {
            Some(id) => format!("The server's log tells which check failed: look for tracking ID {id}."),
            None => "See the server's log.".to_owned(),
        };
        Self::new(step, format!("the service answered {status}: {message}{code}"), next)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  {}", self.step, self.what, self.next)
    }
}

impl std::error::Error for Failure {}
