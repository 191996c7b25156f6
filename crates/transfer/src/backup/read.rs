//! Reading a backup, as the snapshot that it is. Its end is only told once everything has proved right.

use aws_lc_rs::hmac;
use tokio::io::AsyncRead;
use usher_seal::MasterKey;
use usher_store::{BoxFuture, Entry, Snapshot, StoreError};

use super::{Header, Kind, PURPOSE, frame::Frames};
use crate::{CopyError, entry, tally::Tally};

/// A backup that is being read.
pub struct Reader<S> {
    frames: Frames<S>,
    header: Header,
    inside: Option<MasterKey>,
    key: Option<MasterKey>,
    tally: Tally,
    /// A part that was read too early.
    next: Option<(Kind, Vec<u8>)>,
    ended: bool,
    failure: Option<CopyError>,
}

impl<S: AsyncRead + Unpin + Send> Reader<S> {
    /// Begins. With the master key, given or inside, the end proves that nobody has changed anything; without it, that no accident has.
    ///
    /// # Errors
    /// Where it is no backup, of a later version, or damaged at its beginning.
    pub async fn open(stream: S, given: Option<MasterKey>) -> Result<Self, CopyError> {
        let mut frames = Frames::open(stream).await?;
        let (Kind::Header, header) = frames.read().await? else { return Err(CopyError::damaged("it has no header")) };
        let header = serde_json::from_slice(&header).map_err(|_| CopyError::damaged("its header cannot be read"))?;
        let (mut inside, mut next) = (None, Some(frames.read().await?));
        if let Some((Kind::MasterKey, text)) = &next {
            let key = std::str::from_utf8(text).ok().and_then(MasterKey::from_base64);
            inside = Some(key.ok_or_else(|| CopyError::damaged("its master key is none"))?);
            next = None;
        }
        let key = given.or_else(|| inside.clone());
        Ok(Self { frames, header, inside, key, tally: Tally::new(), next, ended: false, failure: None })
    }

    /// What it says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The master key, where it is inside.
    pub fn key_inside(&self) -> Option<&MasterKey> {
        self.inside.as_ref()
    }

    /// The key by which it is authenticated: the one given, or else the one inside.
    pub fn key(&self) -> Option<&MasterKey> {
        self.key.as_ref()
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
            (Kind::Entries, payload) => self.decode(&payload),
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
        if let Some(key) = &self.key
            && hmac::verify(&key.authentication_key(PURPOSE), &signed, &tag).is_err()
        {
            let what = "the backup was made under another master key, or changed by someone who does not have it";
            return Err(CopyError::new(what, "Nothing was written. Give the master key that was in force when it was made."));
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
