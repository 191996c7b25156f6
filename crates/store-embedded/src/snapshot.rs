//! Snapshots of the tables. The engine sorts by space before tenant, copies by tenant before space; so the pairs that occur are looked
//! up first, by a few seeks for each, and then read one after the other.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use fjall::{Keyspace, Readable as _};
use usher_store::{BoxFuture, Entry, Key, STEP_BYTES, STEP_MAX, Snapshot, Space, StoreError, TenantId};

use crate::{
    COUNTERS, RECORDS,
    layout::{decode_counter, decode_value, full_prefix},
    read_error, suspects,
    tables::Tables,
};

/// The bytes before a key: space and tenant.
const HEAD_BYTES: usize = 5;

/// The view, and how far it is told.
pub struct View {
    folder: PathBuf,
    tables: Tables,
    snapshot: fjall::Snapshot,
    /// What is still to be read: whether counters, whose and which; and the key at which to go on.
    left: VecDeque<(bool, TenantId, Space)>,
    after: Option<Vec<u8>>,
}

impl View {
    /// A view of what is committed by now.
    pub fn open(tables: Tables, folder: PathBuf) -> Result<Self, StoreError> {
        let snapshot = tables.snapshot();
        let records = pairs(&snapshot, &tables.records, false);
        let left = records.and_then(|records| Ok([records, pairs(&snapshot, &tables.counters, true)?].concat()));
        let mut left = left.map_err(|error| located(&folder, error))?;
        left.sort_unstable();
        Ok(Self { folder, tables, snapshot, left: left.into(), after: None })
    }

    fn next(&mut self) -> Result<Vec<Entry>, StoreError> {
        let (mut step, mut bytes) = (Vec::new(), 0);
        while let Some((counters, tenant, space)) = self.left.front().copied() {
            let head = full_prefix(space, tenant);
            let from = [head.as_slice(), self.after.as_deref().unwrap_or_default()].concat();
            let table = if counters { &self.tables.counters } else { &self.tables.records };
            for guard in self.snapshot.range(table, from..) {
                let (full, value) = guard.into_inner().map_err(|error| read_error(named(counters), space, &error))?;
                let Some(name) = full.strip_prefix(head.as_slice()) else { break };
                if bytes >= STEP_BYTES || step.len() == STEP_MAX {
                    self.after = Some(name.to_vec());
                    return Ok(step);
                }
                let entry = entry(counters, Key { space, tenant, key: name.to_vec() }, &value)?;
                // A counter of 0 is as good as none.
                if !matches!(entry, Entry::Counter { value: 0, .. }) {
                    bytes += entry.bytes();
                    step.push(entry);
                }
            }
            self.left.pop_front();
            self.after = None;
        }
        Ok(step)
    }
}

impl Snapshot for View {
    fn step(&mut self) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            self.next().map_err(|error| {
                self.left.clear();
                located(&self.folder, error)
            })
        })
    }
}

fn entry(counter: bool, key: Key, value: &[u8]) -> Result<Entry, StoreError> {
    if counter {
        return decode_counter(key.space, value).map(|value| Entry::Counter { key, value });
    }
    let stored = decode_value(key.space, value)?;
    Ok(Entry::Record { key, etag: stored.etag, body: stored.body })
}

/// Whose records of which spaces there are.
fn pairs(snapshot: &fjall::Snapshot, table: &Keyspace, counters: bool) -> Result<Vec<(bool, TenantId, Space)>, StoreError> {
    // Keys shorter than a head are the store's own.
    let (mut found, mut from) = (Vec::new(), vec![0; HEAD_BYTES]);
    loop {
        let mut own = None;
        for guard in snapshot.range(table, from.clone()..) {
            let key = guard.key().map_err(|error| {
                let space = Space(from.first().copied().unwrap_or_default());
                read_error(named(counters), space, &error)
            })?;
            if let Some(head) = key.first_chunk::<HEAD_BYTES>() {
                own = Some(*head);
                break;
            }
        }
        let Some([space, tenant @ ..]) = own else { return Ok(found) };
        let tenant = u32::from_be_bytes(tenant);
        found.push((counters, TenantId(tenant), Space(space)));
        from = match (tenant.checked_add(1), space.checked_add(1)) {
            (Some(next), _) => full_prefix(Space(space), TenantId(next)),
            (None, Some(next)) => full_prefix(Space(next), TenantId(0)),
            (None, None) => return Ok(found),
        };
    }
}

fn named(counters: bool) -> &'static str {
    if counters { COUNTERS } else { RECORDS }
}

/// With the damaged file's name: whoever reads everything has the time to look for it.
fn located(folder: &Path, error: StoreError) -> StoreError {
    let StoreError::Corrupt { space, detail } = error else { return error };
    let file = suspects::find(folder).map(|file| format!(": {file}")).unwrap_or_default();
    StoreError::Corrupt { space, detail: detail + &file }
}
