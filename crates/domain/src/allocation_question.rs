//! What is kept of a custom allocation until its webhook has chosen a hub: everything that any node needs to ask, and to make a plan of
//! the answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{HubName, enrollment::CustomAllocation};

/// A question to an allocation webhook. Dropped as soon as the operation has its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Whom to ask.
    pub webhook: CustomAllocation,
    /// The request's body, the same whoever asks and however often.
    pub request: Value,
    /// The hubs to choose from. At least one.
    pub hubs: Vec<HubName>,
    /// What happens to the device's data if it moves.
    pub rule: Reassign,
    /// How often it was asked in vain.
    pub failures: u32,
}

/// What happens to the place of a device that registers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reassign {
    /// It stays where it is.
    Stay,
    /// The allocation policy is asked again; the twin goes along to a new hub.
    Migrate,
    /// The allocation policy is asked again; the twin is reset.
    Reset,
}
