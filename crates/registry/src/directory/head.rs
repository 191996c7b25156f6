//! The directory's head: one record that changes whenever any service does.

use serde::{Deserialize, Serialize};
use usher_domain::ServiceError;
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use super::Directory;
use crate::{fault::service_error, spaces};

/// What the head holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The number for the next service. Numbers are never used again, since records are sealed to them.
    pub next_tenant: u32,
}

/// The ETag of a head that is not written yet; no record has it.
const UNWRITTEN: u64 = 0;

impl Directory {
    pub(super) async fn head(&self) -> Result<Versioned<Head>, RecordError> {
        let found = self.vault.get(&self.head_key()).await?;
        Ok(found.unwrap_or(Versioned { value: Head { next_tenant: 1 }, etag: UNWRITTEN }))
    }

    /// Writes the head, if nobody else did meanwhile.
    pub(super) fn head_op(&self, read: &Versioned<Head>, head: &Head) -> Result<Op, ServiceError> {
        let expect = if read.etag == UNWRITTEN { Expect::Absent } else { Expect::Etag(read.etag) };
        Ok(self.vault.put(self.head_key(), expect, head).map_err(service_error)?.0)
    }

    fn head_key(&self) -> Key {
        self.vault.key(spaces::DIRECTORY, "head")
    }
}
