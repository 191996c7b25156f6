//! What an entry says.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use usher_domain::{Timestamp, TrackingId};

/// Longest action, in characters; a path may be longer.
pub const ACTION_CHARS_MAX: usize = 300;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A holder of the admin token, or of a token from a log-in with it.
    Administrator,
    /// A holder of a token of the OIDC issuer: its `sub`.
    Issuer(String),
    /// A holder of a key of this shared access policy of the service.
    Policy(String),
}

/// Whether it is about to be tried, or what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// It is about to be tried.
    Begun,
    /// It was answered with this HTTP status.
    Ended(u16),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The request's; begun and ended have the same.
    pub tracking_id: TrackingId,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub address: Option<IpAddr>,
    /// The provisioning service that it is about, where it is about one.
    pub service: Option<String>,
    /// Method and path. Bodies are left out: they hold keys.
    pub action: String,
    /// How far it is.
    pub phase: Phase,
}

impl Entry {
    /// Method and path as an action.
    pub fn action(method: &str, path: &str) -> String {
        format!("{method} {path}").chars().take(ACTION_CHARS_MAX).collect()
    }

    /// The entry of what came of this one.
    #[must_use]
    pub fn ended(&self, at: Timestamp, status: u16) -> Self {
        Self { at, phase: Phase::Ended(status), ..self.clone() }
    }
}
