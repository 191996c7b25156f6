//! The log in the store: one chain for the whole installation. Whoever appends takes all that waits on this node in one commit, on the
//! condition that the chain still ends where it was seen to end; another node may have been first, and then it is tried again behind that.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};
use usher_domain::Timestamp;
use usher_records::{RecordError, Vault, Versioned};
use usher_store::{Expect, Key, Space};

use crate::{Break, Entry, Link, chain::Head};

/// Entries by number, newest first. The number is part of the disk format; this crate owns 110 and 111.
const ENTRIES: Space = Space(110);
/// One record: the chain's end.
const HEAD: Space = Space(111);
/// Entries that wait to be written; some 500 bytes of memory each.
const WAITING_MAX: usize = 4096;
/// Entries of one commit, with room for the end beside them.
const BATCH_MAX: usize = 100;
/// Longest that an entry may take to be durable. A request whose entry cannot be written is not carried out.
const WRITE_MAX: Duration = Duration::from_secs(20);
/// Pause after another node was first; doubled each time up to 32 times as long.
const PAUSE: Duration = Duration::from_millis(2);
/// Between two words to the log of where the chain ends.
const TOLD_EVERY: Duration = Duration::from_secs(3600);
/// Entries of a page.
pub const PAGE_MAX: usize = 500;

/// The log of one node. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    vault: Vault,
    sender: mpsc::Sender<Waiting>,
}

struct Waiting {
    entry: Entry,
    written: oneshot::Sender<Result<(), Unwritten>>,
}

/// Why an entry could not be written, in words for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritten(pub String);

/// What a look at the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries.
    pub entries: u64,
    /// The newest digest, to be kept elsewhere.
    pub digest: String,
    /// Where the chain is broken, if it is.
    pub broken: Option<Break>,
}

impl AuditLog {
    /// The log in the system's own records; `system` is tenant 0's vault. Its writer runs until the last clone is gone.
    pub fn start(system: Vault) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(write(system.clone(), receiver));
        Self { vault: system, sender }
    }

    /// Appends an entry; durable before `Ok`.
    ///
    /// # Errors
    /// Where it could not be written in time. It may be written yet.
    pub async fn append(&self, entry: Entry) -> Result<(), Unwritten> {
        let appended = async {
            let (written, done) = oneshot::channel();
            let gone = || Unwritten("the writer has stopped".into());
            self.sender.send(Waiting { entry, written }).await.map_err(|_| gone())?;
            done.await.map_err(|_| gone())?
        };
        timeout(WRITE_MAX, appended).await.unwrap_or_else(|_| Err(Unwritten(format!("not within {} s", WRITE_MAX.as_secs()))))
    }

    /// Writes down what is about to be tried. What cannot be written down must not be tried; the log says why.
    ///
    /// # Errors
    /// As those of [`append`](Self::append).
    pub async fn begin(&self, entry: Entry) -> Result<Entry, Unwritten> {
        let tracking_id = &entry.tracking_id;
        self.append(entry.clone()).await.inspect_err(
            |why| warn!(%tracking_id, check = "audit", detail = why.0, mend = "See the store's own log lines.", "not carried out"),
        )?;
        Ok(entry)
    }

    /// Writes down what came of it. Where that fails, the change is made all the same, and the log shows it as begun.
    pub async fn end(&self, begun: &Entry, at: Timestamp, status: u16) {
        let tracking_id = &begun.tracking_id;
        if let Err(why) = self.append(begun.ended(at, status)).await {
            warn!(%tracking_id, check = "audit", detail = why.0, mend = "See the store's own log lines.", "the outcome was not written down");
        }
    }

    /// A page of entries, newest first, those before the number `before`.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(&self, before: Option<u64>, limit: usize) -> Result<Vec<Link>, RecordError> {
        let after = before.map(place);
        let page = self.vault.page::<Link>(ENTRIES, &[], after.as_deref(), limit.clamp(1, PAGE_MAX)).await?;
        Ok(page.items.into_iter().map(|(_, found)| found.value).collect())
    }

    /// Looks at the whole chain, from its end to its beginning; `kept` is a digest of an earlier look, which must be in it.
    ///
    /// # Errors
    /// The store's; a record that does not open is one of them.
    pub async fn verify(&self, kept: Option<&str>) -> Result<Verified, RecordError> {
        // Entries that come meanwhile are behind this end, and not looked at.
        let end = head(&self.vault).await?.map(|found| found.value).unwrap_or_default();
        let mut verified = Verified { entries: 0, digest: end.digest.clone(), broken: None };
        let (mut later, mut is_known) = (None::<Link>, kept.is_none());
        loop {
            let before = later.as_ref().map_or_else(|| end.number.saturating_add(1), |link| link.number);
            let links = self.page(Some(before), PAGE_MAX).await?;
            let is_last = links.len() < PAGE_MAX;
            for link in links {
                let at_end = later.is_some() || link.head() == end;
                let checked = if at_end { link.check(later.as_ref()) } else { Err(Break::End) };
                verified.broken = verified.broken.or(checked.err());
                verified.entries = verified.entries.saturating_add(1);
                is_known |= kept.is_some_and(|kept| kept.eq_ignore_ascii_case(&link.digest));
                later = Some(link);
            }
            if is_last || verified.broken.is_some() {
                break;
            }
        }
        let first = later.as_ref().map_or(if end.number == 0 { Ok(()) } else { Err(Break::End) }, Link::check_first);
        verified.broken = verified.broken.or(first.err());
        if let (false, Some(kept)) = (is_known, kept) {
            verified.broken = verified.broken.or_else(|| Some(Break::Unknown(kept.to_owned())));
        }
        Ok(verified)
    }
}

async fn head(vault: &Vault) -> Result<Option<Versioned<Head>>, RecordError> {
    vault.get(&vault.key(HEAD, "end")).await
}

/// The newest number comes first in a scan.
fn place(number: u64) -> Vec<u8> {
    (u64::MAX - number).to_be_bytes().to_vec()
}

async fn write(vault: Vault, mut receiver: mpsc::Receiver<Waiting>) {
    let mut told: Option<Instant> = None;
    let mut waiting = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut waiting, BATCH_MAX).await > 0 {
        let entries: Vec<&Entry> = waiting.iter().map(|waiting| &waiting.entry).collect();
        let outcome = append_all(&vault, &entries).await;
        match &outcome {
            Ok(head) if told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) => {
                told = Some(Instant::now());
                info!(
                    number = head.number,
                    digest = head.digest,
                    "the audit log ends here; keep the digest elsewhere to prove that nothing is cut off"
                );
            }
            Ok(_) => {}
            Err(why) => warn!(check = "audit", detail = why.0, mend = "See the store's own log lines.", "the audit log cannot be written"),
        }
        let outcome = outcome.map(|_| ());
        for waiting in waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.written.send(outcome.clone());
        }
    }
}

/// Appends in one commit, however often another node is first.
async fn append_all(vault: &Vault, entries: &[&Entry]) -> Result<Head, Unwritten> {
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        match append_once(vault, entries).await {
            Ok(head) => return Ok(head),
            Err(RecordError::Conflict { .. }) if begun.elapsed() < WRITE_MAX => {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE * 32);
            }
            Err(why) => return Err(Unwritten(why.to_string())),
        }
    }
}

async fn append_once(vault: &Vault, entries: &[&Entry]) -> Result<Head, RecordError> {
    let found = head(vault).await?;
    let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Etag(found.etag));
    let mut end = found.map(|found| found.value).unwrap_or_default();
    let mut ops = Vec::with_capacity(entries.len() + 1);
    for entry in entries {
        let link = end.link(entry).map_err(|why| RecordError::Invalid(why.to_string()))?;
        let key = Key { space: ENTRIES, tenant: vault.tenant(), key: place(link.number) };
        ops.push(vault.put(key, Expect::Absent, &link)?.0);
        end = link.head();
    }
    ops.push(vault.put(vault.key(HEAD, "end"), expect, &end)?.0);
    vault.commit(ops).await?;
    Ok(end)
}

#[cfg(test)]
mod tests;
