//! The read side: how an operation stands, and where a device is registered. Neither is metered, as in the cloud's list of billable
//! operations (MicrosoftDocs/azure-docs: articles/iot-dps/about-iot-dps.md, "Billable service operations and pricing").

use usher_domain::{
    ErrorCode, ServiceError,
    document::{OperationStatusDocument, RegistrationStateDocument},
    registration::Registration,
};
use usher_records::Versioned;
use usher_registry::{Tenant, wire_etag};

use crate::{answer, claim::Claim, denial::Denial, engine::Engine, prove::prove, story::Story, throttle::throttled, transition, worker};

impl Engine {
    /// Tells how an operation stands. The device proves itself anew; another device's operation is not found.
    pub async fn operation_status(&self, claim: &Claim, operation_id: &str) -> Result<OperationStatusDocument, ServiceError> {
        let mut story = self.story(claim, "operation status");
        let result = self.try_status(claim, operation_id, &mut story).await;
        let record = result.map_err(|denial| self.turn_away(claim, story, denial))?;
        Ok(answer::operation_status(&record.value, &wire_etag(record.etag)))
    }

    /// Tells a device its registration, outside any operation.
    pub async fn registration(&self, claim: &Claim) -> Result<RegistrationStateDocument, ServiceError> {
        let mut story = self.story(claim, "registration look-up");
        let result = self.try_lookup(claim, &mut story).await;
        let record = result.map_err(|denial| self.turn_away(claim, story, denial))?;
        Ok(answer::device_state(&record.value, &wire_etag(record.etag)))
    }

    async fn try_status(&self, claim: &Claim, operation_id: &str, story: &mut Story) -> Result<Versioned<Registration>, Denial> {
        let tenant = self.tenant(claim, story).await?;
        let Some(known) = tenant.registry.registration(&claim.claimed_id).await? else {
            return Err(self.not_proven_or_missing(&tenant, claim, ErrorCode::OperationNotFound, story).await);
        };
        let now = self.now();
        prove(&tenant.registry, claim, Some(&known.value), now, story).await?;
        tenant.admit_poll(&claim.claimed_id, now).map_err(throttled)?;
        if known.value.state.operation_id().as_str() != operation_id {
            let answer = ServiceError::with(ErrorCode::OperationNotFound, "This registration has no such operation. Register again.");
            return Err(Denial::open("operation.unknown", answer));
        }
        match transition::running(&known.value) {
            // Its node is gone: take it over now, while the device is waiting.
            Some(operation) if transition::is_abandoned(operation, now) => Ok(self.take_over(tenant, known, claim, story.clone()).await),
            _ => Ok(known),
        }
    }

    async fn take_over(&self, tenant: Tenant, known: Versioned<Registration>, claim: &Claim, story: Story) -> Versioned<Registration> {
        match worker::claim_operation(self, &tenant, known.clone()).await {
            Some(held) => self.work_or_wait(tenant, held, claim, story).await,
            None => known,
        }
    }

    async fn try_lookup(&self, claim: &Claim, story: &mut Story) -> Result<Versioned<Registration>, Denial> {
        let tenant = self.tenant(claim, story).await?;
        let Some(known) = tenant.registry.registration(&claim.claimed_id).await? else {
            return Err(self.not_proven_or_missing(&tenant, claim, ErrorCode::NotFound, story).await);
        };
        prove(&tenant.registry, claim, Some(&known.value), self.now(), story).await?;
        tenant.admit_operation(self.now()).map_err(throttled)?;
        Ok(known)
    }

    /// A missing record is told only to a device that proved itself.
    async fn not_proven_or_missing(&self, tenant: &Tenant, claim: &Claim, missing: ErrorCode, story: &mut Story) -> Denial {
        match prove(&tenant.registry, claim, None, self.now(), story).await {
            Ok(_) => Denial::open("registration.none", ServiceError::with(missing, "This device has not registered. Register first.")),
            Err(denial) => denial,
        }
    }
}
