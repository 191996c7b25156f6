//! Rate limits at the device's door: the registry decides, a device that is turned away is told when to come back.

use usher_domain::{IdScope, ServiceError};

use crate::{denial::Denial, engine::Engine};

/// A wait where the service cannot be read, in seconds: the longest that the documented rate of polls asks for.
const POLL_AFTER_UNKNOWN_S: u32 = 2;

impl Engine {
    /// Seconds after which a device of this ID scope is asked to poll again while its assignment is under way.
    pub async fn poll_after_s(&self, id_scope: &IdScope) -> u32 {
        match self.ports.directory.by_scope(id_scope).await {
            Ok(Some(tenant)) => tenant.service.limits.poll_after_s(),
            Ok(None) | Err(_) => POLL_AFTER_UNKNOWN_S,
        }
    }
}

/// A device over a rate, which has proved itself and may know the whole reason.
pub(crate) fn throttled(answer: ServiceError) -> Denial {
    let mend = "Let devices back off with jitter, or raise the service's limits.";
    Denial { check: "rate".into(), detail: answer.message.clone(), mend: mend.into(), answer }
}
