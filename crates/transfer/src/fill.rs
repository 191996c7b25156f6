//! Filling an empty store with everything that a snapshot or a backup holds. It can be interrupted at any moment and begun again: it
//! goes on behind the last entry that is durable.

use usher_store::{Entry, Expect, OPS_MAX, Op, Snapshot, Store};

use crate::{
    CopyError, Progress, Stage, Walk,
    marker::{self, Marker},
    tally::{self, Summary},
};

/// Bodies in one commit beyond which none is added, in bytes; with one more of the largest it stays within the store port's limit.
const COMMIT_BYTES: usize = 2 * 1024 * 1024;

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filled {
    /// The target was empty and holds everything now.
    Wholly,
    /// An earlier attempt was brought to its end.
    Resumed,
    /// The target held the same already, and nothing was written.
    Already,
}

/// Copies everything from `source` into `target`, which must be empty or the target of an earlier attempt at the same, and compares
/// the two by digest. `origin` is the source's summary, taken beforehand.
///
/// # Errors
/// Where the target holds something else, the source is not what `origin` says, either fails, or they differ in the end.
pub async fn fill(
    source: &mut dyn Snapshot,
    origin: &Summary,
    target: &dyn Store,
    progress: &mut dyn Progress,
) -> Result<Filled, CopyError> {
    let (mut filler, filled) = match Filler::begin(target, origin, progress).await? {
        Begun::Filler(filler, filled) => (filler, filled),
        Begun::Already => return Ok(Filled::Already),
    };
    let mut walk = Walk::new(source, None, Stage::Copying, Some(origin.records + origin.counters));
    loop {
        let step = walk.step(progress).await?;
        if step.is_empty() {
            break;
        }
        for entry in step {
            filler.take(entry).await?;
        }
    }
    filler.flush().await?;
    if walk.summary() != *origin {
        let next = "Stop whatever uses it, empty the target, and begin again.";
        return Err(CopyError::new("the source has changed while it was copied", next));
    }
    let copied = summary(target, progress, Some(origin.records + origin.counters)).await?;
    if copied != *origin {
        let what = format!("the copy differs from its source: {} against {}", copied.digest, origin.digest);
        return Err(CopyError::new(what, "Someone else has written to the target: empty it, or take another."));
    }
    target.commit(vec![marker::delete(filler.etag)]).await.map_err(|error| CopyError::target(&error))?;
    Ok(filled)
}

async fn summary(target: &dyn Store, progress: &mut dyn Progress, of: Option<u64>) -> Result<Summary, CopyError> {
    let mut snapshot = target.snapshot().await.map_err(|error| CopyError::target(&error))?;
    Walk::new(snapshot.as_mut(), None, Stage::Comparing, of).whole(progress).await
}

enum Begun<'a> {
    Filler(Filler<'a>, Filled),
    Already,
}

/// What is copied but not yet committed, and how far the target is.
struct Filler<'a> {
    target: &'a dyn Store,
    marker: Marker,
    /// The mark's ETag.
    etag: u64,
    ops: Vec<Op>,
    bytes: usize,
    /// The place of the last of `ops`.
    last: Vec<u8>,
}

impl<'a> Filler<'a> {
    async fn begin(target: &'a dyn Store, origin: &Summary, progress: &mut dyn Progress) -> Result<Begun<'a>, CopyError> {
        let failed = |error| CopyError::target(&error);
        let of = |marker, etag| Self { target, marker, etag, ops: Vec::new(), bytes: 0, last: Vec::new() };
        if let Some((marker, etag)) = marker::find(target).await.map_err(failed)? {
            if marker.origin != origin.digest {
                let what = "the target is half filled with something else, or the source has changed since";
                return Err(CopyError::new(what, "Empty the target, or take another."));
            }
            return Ok(Begun::Filler(of(marker, etag), Filled::Resumed));
        }
        let first = target.snapshot().await.map_err(failed)?.step().await.map_err(failed)?;
        if !first.is_empty() {
            if summary(target, progress, None).await? == *origin {
                return Ok(Begun::Already);
            }
            return Err(CopyError::new("the target is not empty", "Nothing was written. Empty it, or take another."));
        }
        let marker = Marker { origin: origin.digest.clone(), at: Vec::new() };
        target.commit(vec![marker::put(&marker, None)]).await.map_err(failed)?;
        Ok(Begun::Filler(of(marker, 1), Filled::Wholly))
    }

    async fn take(&mut self, entry: Entry) -> Result<(), CopyError> {
        let place = tally::place(&entry);
        if place <= self.marker.at {
            return Ok(());
        }
        // One place is the mark's.
        if self.ops.len() + 1 >= OPS_MAX || self.bytes >= COMMIT_BYTES {
            self.flush().await?;
        }
        self.bytes += entry.bytes();
        self.last = place;
        self.ops.push(match entry {
            Entry::Record { key, etag, body } => Op::Put { key, expect: Expect::Absent, etag, body },
            Entry::Counter { key, value } => Op::Add { key, delta: value },
        });
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), CopyError> {
        if self.ops.is_empty() {
            return Ok(());
        }
        let mut ops = std::mem::take(&mut self.ops);
        self.marker.at = std::mem::take(&mut self.last);
        ops.push(marker::put(&self.marker, Some(self.etag)));
        self.target.commit(ops).await.map_err(|error| CopyError::target(&error))?;
        self.etag += 1;
        self.bytes = 0;
        Ok(())
    }
}
