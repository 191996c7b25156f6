//! The mark of an unfinished copy in its target: what is being copied, and how far it is. It is written in the same commits as what is
//! copied, so it is never wrong; it goes once everything is compared. No server starts on a store that has it.

use serde::{Deserialize, Serialize};
use usher_store::{Expect, Key, Op, Space, Store, StoreError, TenantId};

/// A space that nothing else uses; the record is not sealed, since it says nothing.
const SPACE: Space = Space(254);
const NAME: &[u8] = b"unfinished copy";

/// What the mark says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Marker {
    /// The digest of what is being copied.
    pub origin: String,
    /// The place of the last entry that was copied (see `tally::place`); empty before the first.
    pub at: Vec<u8>,
}

/// Where the mark lies.
fn key() -> Key {
    Key { space: SPACE, tenant: TenantId(0), key: NAME.to_vec() }
}

/// Whether this is the mark's key.
pub fn is_marker(found: &Key) -> bool {
    found.space == SPACE && found.tenant == TenantId(0) && found.key == NAME
}

/// Whether a store is the target of a copy that has not ended: nobody may use it but who goes on with the copy.
///
/// # Errors
/// Where the store cannot be read.
pub async fn is_unfinished(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.get(&key()).await?.is_some())
}

/// The mark and its ETag.
pub async fn find(store: &dyn Store) -> Result<Option<(Marker, u64)>, StoreError> {
    let Some(stored) = store.get(&key()).await? else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt { space: SPACE, detail: "the mark of an unfinished copy".into() };
    Ok(Some((serde_json::from_slice(&stored.body).map_err(corrupt)?, stored.etag)))
}

/// Writes the mark: anew where `before` is `None`.
pub fn put(marker: &Marker, before: Option<u64>) -> Op {
    let (expect, etag) = before.map_or((Expect::Absent, 1), |etag| (Expect::Etag(etag), etag + 1));
    Op::Put { key: key(), expect, etag, body: serde_json::to_vec(marker).unwrap_or_default() }
}

/// Takes the mark away.
pub fn delete(before: u64) -> Op {
    Op::Delete { key: key(), expect: Expect::Etag(before) }
}
