//! Erasing the records of deleted services: lazily and in bounded steps, so that a large service costs no request its time.

use serde::{Deserialize, Serialize};
use usher_domain::Timestamp;
use usher_records::RecordError;
use usher_store::{Expect, Key, OPS_MAX, Op, Range, Space, TenantId};

use super::Directory;
use crate::spaces;

/// How long after its deletion a service's last record is waited for, in milliseconds: operations that were under way write on until
/// their hub answers, and give up long before this.
const SETTLED_AFTER_MS: i64 = 15 * 60 * 1000;
/// Deleted services looked at in one step.
const SERVICES_PER_STEP: usize = 16;

/// A service that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Deleted {
    /// The number that its records stand under.
    pub tenant: u32,
    /// When it was deleted.
    pub at: Timestamp,
}

impl Directory {
    /// Erases some records of deleted services, at most one commit's for each; returns how many. 0 means that there is nothing to do
    /// for now. Counters stay: they are numbers under blinded names. Safe on any number of nodes at once.
    pub async fn erase_deleted(&self, now: Timestamp) -> Result<usize, RecordError> {
        let page = self.vault.page::<Deleted>(spaces::DELETED, &[], None, SERVICES_PER_STEP).await?;
        let mut erased = 0;
        for (_, deleted) in page.items {
            let step = self.erase_some(deleted.value.tenant).await?;
            erased += step;
            if step == 0 && deleted.value.at.plus_millis(SETTLED_AFTER_MS) < now {
                let key = self.vault.key(spaces::DELETED, &deleted.value.tenant.to_string());
                self.vault.commit(vec![Op::Delete { key, expect: Expect::Any }]).await?;
            }
        }
        Ok(erased)
    }

    async fn erase_some(&self, tenant: u32) -> Result<usize, RecordError> {
        for space in spaces::OF_A_SERVICE {
            let ops = self.deletions(space, TenantId(tenant)).await?;
            if !ops.is_empty() {
                let count = ops.len();
                self.store.commit(ops).await?;
                return Ok(count);
            }
        }
        Ok(0)
    }

    async fn deletions(&self, space: Space, tenant: TenantId) -> Result<Vec<Op>, RecordError> {
        let found = self.store.scan(Range { space, tenant, prefix: &[], after: None, limit: OPS_MAX }).await?;
        Ok(found.into_iter().map(|(key, _)| Op::Delete { key: Key { space, tenant, key }, expect: Expect::Any }).collect())
    }
}
