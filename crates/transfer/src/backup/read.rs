//! Reading a backup, as the snapshot that it is. Its end is only told once everything has proved right.

use aws_lc_rs::hmac;
use tokio::io::AsyncRead;
use usher_seal::{MasterKey, MasterKeys};
use usher_store::{BoxFuture, Entry, Snapshot, StoreError};

use super::{Header, Kind, authentication, frame::Frames};
use crate::{CopyError, entry, tally::Tally};

/// A backup that is being read.
pub struct Reader<S> {
    frames: Frames<S>,
    header: Header,
    inside: Option<MasterKey>,
    masters: Option<MasterKeys>,
    authentication: Option<hmac::Key>,
    tally: Tally,
    /// A part that was read too early.
    next: Option<(Kind, Vec<u8>)>,
    ended: bool,
    failure: Option<CopyError>,
}

impl<S: AsyncRead + Unpin + Send> Reader<S> {
    /// Begins. With master keys, given or inside, the end proves that nobody has changed anything; without it, that no accident has.
    ///
    /// # Errors
    /// Where it is no backup, of a later version, or damaged at its beginning.
    pub async fn open(stream: S, given: Option<MasterKeys>) -> Result<Self, CopyError> {
        let mut frames = Frames::open(stream).await?;
        let (Kind::Header, header) = frames.read().await? else { return Err(CopyError::damaged("it has no header")) };
        let header = serde_json::from_slice(&header).map_err(|_| CopyError::damaged("its header cannot be read"))?;
        let (mut inside, mut next) = (None, Some(frames.read().await?));
        if let Some((Kind::MasterKey, text)) = &next {
            let key = std::str::from_utf8(text).ok().and_then(MasterKey::from_base64);
            inside = Some(key.ok_or_else(|| CopyError::damaged("its master key is none"))?);
            next = None;
        }
        let masters = given.or_else(|| inside.as_ref().map(MasterKeys::from));
        Ok(Self { frames, header, inside, masters, authentication: None, tally: Tally::new(), next, ended: false, failure: None })
    }

    /// What it says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The master key, where it is inside.
    pub fn key_inside(&self) -> Option<&MasterKey> {
        self.inside.as_ref()
    }

    /// The keys by which it is authenticated: those given, or else the one inside.
    pub fn masters(&self) -> Option<&MasterKeys> {
        self.masters.as_ref()
    }

    /// Why the last step failed, in more words than a [`StoreError`] has.
    pub fn failure(&mut self) -> Option<CopyError> {
        self.failure.take()
    }

    async fn entries(&mut self) -> Result<Vec<Entry>, CopyError> {
        if self.ended {
            return Ok(Vec::new());
        }
        let part = match self.next.take() {
            Some(part) => part,
            None => self.frames.read().await?,
        };
        match part {
            (Kind::Entries, payload) => {
                let entries = self.decode(&payload)?;
                self.find_authentication(&entries).await?;
                Ok(entries)
            }
            (Kind::End, payload) => self.end(&payload).await.map(|()| Vec::new()),
            _ => Err(CopyError::damaged("its parts are not in order")),
        }
    }

    fn decode(&mut self, mut payload: &[u8]) -> Result<Vec<Entry>, CopyError> {
        let mut entries = Vec::new();
        while !payload.is_empty() {
            let entry = entry::decode(&mut payload).ok_or_else(|| CopyError::damaged("an entry cannot be read"))?;
            if !self.tally.add(&entry) {
                return Err(CopyError::damaged("its entries are not in order"));
            }
            entries.push(entry);
        }
        if entries.is_empty() { Err(CopyError::damaged("an empty part")) } else { Ok(entries) }
    }

    /// Its key comes with the first entry.
    async fn find_authentication(&mut self, entries: &[Entry]) -> Result<(), CopyError> {
        if let (None, Some(masters), Some(first)) = (&self.authentication, &self.masters, entries.first()) {
            let key = authentication::key(first, masters).await?;
            self.authentication = Some(key.ok_or_else(|| CopyError::damaged("it does not begin with the system's keys"))?);
        }
        Ok(())
    }

    async fn end(&mut self, summary: &[u8]) -> Result<(), CopyError> {
        let summary: crate::Summary = serde_json::from_slice(summary).map_err(|_| CopyError::damaged("its summary cannot be read"))?;
        if summary != self.tally.summary() {
            return Err(CopyError::damaged("it does not hold what it says"));
        }
        let signed = self.frames.so_far();
        let (Kind::Tag, tag) = self.frames.read().await? else { return Err(CopyError::damaged("its authentication is missing")) };
        if !self.frames.is_at_end().await {
            return Err(CopyError::damaged("something follows its end"));
        }
        if self.masters.is_some() {
            let key = self.authentication.as_ref().ok_or_else(|| CopyError::damaged("it holds no keys"))?;
            if hmac::verify(key, &signed, &tag).is_err() {
                let what = "the backup was changed by someone who does not have its master key";
                return Err(CopyError::new(what, "Nothing was written. Take another copy of it, or an earlier backup."));
            }
        }
        self.ended = true;
        Ok(())
    }
}

impl<S: AsyncRead + Unpin + Send> Snapshot for Reader<S> {
    fn step(&mut self) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            let outcome = self.entries().await;
            outcome.map_err(|error| {
                let told = StoreError::Unavailable(error.to_string());
                self.failure = Some(error);
                told
            })
        })
    }
}
