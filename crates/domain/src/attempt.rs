//! An attempt of a device to register, as it is kept for whoever asks why the device got in, or not.
//!
//! Holds no secret: neither tokens nor keys, only what was found about them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{DeviceId, HubName, IdScope, RegistrationId, Timestamp, TrackingId};

/// Most checks kept of an attempt; a chain of ten certificates and a choice of eight hubs leave room.
pub const CHECKS_MAX: usize = 40;
/// Longest sentence of a check, in characters. Names that devices make up go into it.
pub const DETAIL_CHARS_MAX: usize = 400;

/// One attempt, from its first check to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took until its outcome was known, in milliseconds.
    pub took_ms: u64,
    /// Names it in answers and logs.
    pub tracking_id: TrackingId,
    /// Who the device said it is, as it spelled it.
    pub registration_id: RegistrationId,
    /// The ID scope it named.
    pub id_scope: IdScope,
    /// What it asked for: `register`, `connect`, `challenge`, `operation status`, `registration look-up`; `take-over` where a node went on
    /// with another's work.
    pub request: String,
    /// How it came; empty for a take-over.
    pub transport: String,
    /// From where, where known.
    pub peer: Option<IpAddr>,
    /// The API version it spoke; empty where the transport carried none.
    pub api_version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was checked and done, in order.
    pub checks: Vec<Check>,
}

/// How an attempt ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Which way.
    pub result: AttemptResult,
    /// The hub, where the device has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubName>,
    /// Its ID there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The error's code (docs/protocol/errors.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// What the device was told of an error: less than the checks say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// What to do next, where something must be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The ways in which an attempt ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// The device is on its hub.
    Assigned,
    /// Its operation is under way.
    #[default]
    Assigning,
    /// Its operation failed.
    Failed,
    /// Proved, and refused since its enrollment is disabled.
    Disabled,
    /// Asked to prove itself by its TPM.
    Challenged,
    /// Turned away.
    Refused,
}

impl AttemptResult {
    /// The word in documents and on screens.
    pub fn word(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Assigning => "assigning",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
            Self::Challenged => "challenged",
            Self::Refused => "refused",
        }
    }

    /// Whether the device proved who it is.
    pub fn is_proved(self) -> bool {
        !matches!(self, Self::Challenged | Self::Refused)
    }
}

/// One check or step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, a stable word.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was found, a sentence.
    pub detail: String,
}

/// The checks of an attempt as they are made. At most [`CHECKS_MAX`] are kept, the last one always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail(Vec<Check>);

impl Trail {
    /// A check that passed, or a step that was done.
    pub fn passed(&mut self, name: &str, detail: impl Into<String>) {
        self.add(name, true, detail.into());
    }

    /// A check that failed.
    pub fn failed(&mut self, name: &str, detail: impl Into<String>) {
        self.add(name, false, detail.into());
    }

    /// Adds a check.
    pub fn add(&mut self, name: &str, passed: bool, detail: String) {
        let detail = match detail.char_indices().nth(DETAIL_CHARS_MAX) {
            Some((end, _)) => format!("{}…", detail.get(..end).unwrap_or_default()),
            None => detail,
        };
        self.0.truncate(CHECKS_MAX.saturating_sub(1));
        self.0.push(Check { name: name.to_owned(), passed, detail });
    }

    /// Forgets what came after the first `count` checks: that part is tried anew.
    pub fn back_to(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// The checks so far.
    pub fn checks(&self) -> &[Check] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_trail_is_bounded_and_ends_with_what_came_last() {
        let mut trail = Trail::default();
        for n in 0..100 {
            trail.passed("step", format!("{n} {}", "ü".repeat(1_000)));
        }
        trail.failed("end", "");
        assert_eq!(trail.checks().len(), CHECKS_MAX);
        assert!(trail.checks().iter().all(|check| check.detail.chars().count() <= DETAIL_CHARS_MAX + 1));
        assert_eq!(trail.checks().last().map(|check| (check.name.as_str(), check.passed)), Some(("end", false)));
        trail.back_to(1);
        assert_eq!(trail.checks().len(), 1);
    }
}
