//! Rate limits of a service: who may go on, and what the others are told.
//!
//! The state stands with the service's records in memory, so that no service's load can be felt by another, and counts for this process:
//! a service on several nodes is let that much through on each. Clients are counted after they have proved who they are. An unproven one
//! could otherwise use up a service's rate, or that of the very device whose ID it names.

use std::sync::{Mutex, PoisonError};

use usher_domain::{RegistrationId, ServiceError, Timestamp, service_limits::Rate};
use usher_throttle::{Bucket, Keyed, Spread, Wait};

use crate::Tenant;

/// The buckets of one service.
#[derive(Default)]
pub(crate) struct Rates {
    operations: Mutex<Line>,
    registrations: Mutex<Line>,
    polls: Mutex<Keyed>,
}

/// A bucket that many clients share, with the places of those that were refused.
#[derive(Default)]
struct Line {
    bucket: Bucket,
    spread: Spread,
}

impl Line {
    fn take(&mut self, rate: Rate, now: Timestamp) -> Result<(), Wait> {
        self.bucket.take(rate, now).map_err(|wait| self.spread.place(rate, wait, now))
    }
}

impl Tenant {
    /// Lets a call of the service API through, or a device's look-up of its registration.
    ///
    /// # Errors
    /// 429 with the seconds to wait, here and below.
    pub fn admit_operation(&self, now: Timestamp) -> Result<(), ServiceError> {
        let Some(rate) = self.service.limits.operations else { return Ok(()) };
        let mut line = self.registry.rates.operations.lock().unwrap_or_else(PoisonError::into_inner);
        line.take(rate, now).map_err(|wait| refused("operations", "this service", rate, wait))
    }

    /// Lets a device's request to register through.
    pub fn admit_registration(&self, now: Timestamp) -> Result<(), ServiceError> {
        let Some(rate) = self.service.limits.registrations else { return Ok(()) };
        let mut line = self.registry.rates.registrations.lock().unwrap_or_else(PoisonError::into_inner);
        line.take(rate, now).map_err(|wait| refused("device registrations", "this service", rate, wait))
    }

    /// Lets a device's poll of its operation through.
    pub fn admit_poll(&self, id: &RegistrationId, now: Timestamp) -> Result<(), ServiceError> {
        let Some(rate) = self.service.limits.polls_per_device else { return Ok(()) };
        let mut polls = self.registry.rates.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.take(&id.folded(), rate, now).map_err(|wait| refused("polls", "each device", rate, wait))
    }
}

fn refused(what: &str, of: &str, rate: Rate, wait: Wait) -> ServiceError {
    let wait_s = wait.seconds();
    let why = format!("Too many requests: {of} is let {} {what} in {} s. Try again in {wait_s} s.", rate.count, rate.seconds);
    ServiceError::throttled(why, wait_s)
}
