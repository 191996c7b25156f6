//! Going through everything once: counted, digested, opened with the master key where there is one, and its progress told.

use usher_records::Opener;
use usher_seal::MasterKeys;
use usher_store::{Entry, Snapshot};

use crate::{
    CopyError,
    marker::is_marker,
    tally::{Summary, Tally},
};

/// What is being done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// A store or a backup is read and its digest taken.
    Reading,
    /// Entries are written.
    Copying,
    /// What was written is read again and compared.
    Comparing,
}

/// Is told how far the work is.
pub trait Progress: Send {
    /// So many entries and bytes of this stage are done; of so many entries, where that is known.
    fn at(&mut self, stage: Stage, entries: u64, bytes: u64, of: Option<u64>);
}

/// Tells nobody.
pub struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: Stage, _: u64, _: u64, _: Option<u64>) {}
}

/// A way through a snapshot.
pub struct Walk<'a> {
    snapshot: &'a mut dyn Snapshot,
    opener: Option<Opener>,
    tally: Tally,
    stage: Stage,
    of: Option<u64>,
}

impl<'a> Walk<'a> {
    /// With master keys, every record is opened. `of` says how many entries there are, if that is known.
    pub fn new(snapshot: &'a mut dyn Snapshot, masters: Option<&MasterKeys>, stage: Stage, of: Option<u64>) -> Self {
        Self { snapshot, opener: masters.cloned().map(Opener::new), tally: Tally::new(), stage, of }
    }

    /// The next entries; none at the end.
    pub async fn step(&mut self, progress: &mut dyn Progress) -> Result<Vec<Entry>, CopyError> {
        loop {
            let mut step = self.snapshot.step().await.map_err(|error| CopyError::source(&error))?;
            let end = step.is_empty();
            step.retain(|entry| !is_marker(entry.key()));
            for entry in &step {
                self.take(entry).await?;
            }
            progress.at(self.stage, self.tally.entries(), self.tally.bytes(), self.of);
            if end || !step.is_empty() {
                return Ok(step);
            }
        }
    }

    async fn take(&mut self, entry: &Entry) -> Result<(), CopyError> {
        if let (Some(opener), Entry::Record { key, etag, body }) = (&mut self.opener, entry) {
            opener.open(key, *etag, body).await.map_err(|error| CopyError::sealed(&error))?;
        }
        if self.tally.add(entry) {
            return Ok(());
        }
        Err(CopyError::new("the source does not tell its entries in order", "This is a fault of usher; please report it."))
    }

    /// What there was so far.
    pub fn summary(&self) -> Summary {
        self.tally.summary()
    }

    /// Goes through all of it.
    pub async fn whole(mut self, progress: &mut dyn Progress) -> Result<Summary, CopyError> {
        while !self.step(progress).await?.is_empty() {}
        Ok(self.summary())
    }
}
