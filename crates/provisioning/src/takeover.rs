//! Finishing what other nodes, or this one before a crash, left undone.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};
use usher_domain::RegistrationId;
use usher_records::RecordError;
use usher_registry::Tenant;

use crate::{engine::Engine, story::Story, transition, worker};

/// Between two looks for abandoned operations.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Operations looked at in one go.
const BATCH: usize = 100;

/// Which unfinished operations are abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// All: no other process can be working on this store, and this one has just begun.
    All,
    /// Those whose lease has ended.
    Expired,
}

impl Engine {
    /// Takes over abandoned operations until `stop` turns true. `alone` says that no other node uses the store.
    pub async fn take_over_abandoned(&self, alone: bool, mut stop: watch::Receiver<bool>) {
        let mut which = if alone { Abandoned::All } else { Abandoned::Expired };
        loop {
            match self.look(which).await {
                Ok(0) => {}
                Ok(taken) => info!(taken, "operations taken over"),
                Err(why) => warn!(detail = %why, "cannot look for abandoned operations"),
            }
            which = Abandoned::Expired;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = async { drop(stop.wait_for(|stop| *stop).await) } => return,
            }
        }
    }

    /// One look; returns how many operations were taken over.
    pub async fn look(&self, which: Abandoned) -> Result<usize, RecordError> {
        let mut taken = 0;
        for tenant in self.ports.directory.tenants().await? {
            let mut after = None;
            loop {
                let page = tenant.registry.pending(after.as_deref(), BATCH).await?;
                for id in &page.ids {
                    taken += usize::from(self.take(&tenant, id, which).await?);
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(taken)
    }

    async fn take(&self, tenant: &Tenant, id: &RegistrationId, which: Abandoned) -> Result<bool, RecordError> {
        let Some(record) = tenant.registry.registration(id).await? else { return Ok(false) };
        let Some(operation) = transition::running(&record.value) else { return Ok(false) };
        if which == Abandoned::Expired && !transition::is_abandoned(operation, self.now()) {
            return Ok(false);
        }
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else { return Ok(false) };
        let operation_id = operation.id.clone();
        let Some(held) = worker::claim_operation(self, tenant, record).await else { return Ok(false) };
        let tracking_id = self.new_tracking_id();
        info!(%tracking_id, id_scope = %tenant.service.id_scope, registration_id = %id, %operation_id, "operation taken over");
        let mut story = Story::of_take_over(tenant, id, tracking_id, self.now());
        let (engine, tenant) = (self.clone(), tenant.clone());
        tokio::spawn(async move { worker::work(&engine, &tenant, held, permit, &mut story).await });
        Ok(true)
    }
}
