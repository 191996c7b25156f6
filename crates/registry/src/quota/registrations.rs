//! Registrations have a limit too: one for each device that has ever registered, until it is deleted.

use usher_domain::{ErrorCode, ServiceError, registration::Registration};
use usher_records::RecordError;
use usher_store::{Expect, Op};

use super::Held;
use crate::{Registry, Tenant, fault::service_error};

impl Tenant {
    /// Writes a device's first registration, where the service holds fewer than it may; returns its ETag. What holds for
    /// [`Registry::save_registration`] holds here.
    ///
    /// # Errors
    /// [`ErrorCode::QuotaExceeded`] where the service holds as many as it may, [`ErrorCode::ConcurrentChange`] where another request was
    /// faster: read again.
    pub async fn save_first_registration(&self, registration: &Registration, mut also: Vec<Op>) -> Result<u64, ServiceError> {
        // Held until the commit is over.
        let holding = self.one_more(Held::Registrations).await?;
        also.extend(holding.ops.iter().cloned());
        let saved = self.registry.save_registration(registration, Expect::Absent, also).await;
        saved.map_err(|fault| match fault {
            RecordError::Conflict { .. } => ServiceError::new(ErrorCode::ConcurrentChange),
            fault => service_error(fault),
        })
    }
}

impl Registry {
    /// The registrations held.
    pub async fn registrations_held(&self) -> Result<i64, RecordError> {
        self.held(Held::Registrations).await
    }

    /// What the deletion of a registration needs for the count.
    pub(crate) fn release_registration(&self) -> Op {
        self.add(Held::Registrations, -1)
    }
}
