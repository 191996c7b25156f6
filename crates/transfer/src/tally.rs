//! What went past: how much, and the digest over all of it in its one order.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use usher_store::Entry;

use crate::entry;

/// What a store or a backup holds. Two that are equal hold the same records, with the same ETags, and the same counters.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Records.
    pub records: u64,
    /// Counters that are not 0.
    pub counters: u64,
    /// Keys and sealed bodies, in bytes.
    pub bytes: u64,
    /// SHA-256 over all entries in order, in hex.
    pub digest: String,
}

/// A summary in the making.
#[derive(Clone)]
pub struct Tally {
    hash: Context,
    records: u64,
    counters: u64,
    bytes: u64,
    last: Option<Vec<u8>>,
}

impl Tally {
    /// Of nothing.
    pub fn new() -> Self {
        Self { hash: Context::new(&SHA256), records: 0, counters: 0, bytes: 0, last: None }
    }

    /// Adds an entry; `false` where it is not behind the last one, which would make the digest worthless.
    #[must_use]
    pub fn add(&mut self, entry: &Entry) -> bool {
        let place = place(entry);
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return false;
        }
        self.last = Some(place);
        let mut bytes = Vec::with_capacity(entry.bytes() + 16);
        entry::encode(entry, &mut bytes);
        self.hash.update(&bytes);
        match entry {
            Entry::Record { .. } => self.records += 1,
            Entry::Counter { .. } => self.counters += 1,
        }
        self.bytes += entry.bytes() as u64;
        true
    }

    /// What there was so far.
    pub fn summary(&self) -> Summary {
        let Self { records, counters, bytes, .. } = *self;
        Summary { records, counters, bytes, digest: hex(self.hash.clone().finish().as_ref()) }
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.records + self.counters
    }

    /// Keys and bodies so far, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Where an entry stands, as bytes that sort as entries do.
pub fn place(entry: &Entry) -> Vec<u8> {
    let (counter, tenant, space, key) = entry.place();
    [[u8::from(counter)].as_slice(), &tenant.to_be_bytes(), &[space], key].concat()
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
