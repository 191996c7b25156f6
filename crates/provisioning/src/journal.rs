//! The journal: takes attempts in without ever making a registration wait, and writes them down in batches.
//!
//! It holds what explains, not what counts: a registration's own record is durable before its answer, an attempt may be lost with its
//! node. Where attempts come faster than they can be written, some are dropped, counted and logged.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use tracing::warn;
use usher_domain::attempt::Attempt;
use usher_registry::Registry;

/// Attempts that wait to be written; some 2 KiB of memory each.
const WAITING_MAX: usize = 4096;
/// Those of devices that the service does not know among them: a storm of strangers must leave room for the others.
const STRANGERS_WAITING_MAX: usize = WAITING_MAX / 4;
/// Attempts written in one go.
const BATCH_MAX: usize = 256;
/// Attempts of devices that the service does not know written in one go: with [`PAUSE`], at most 320 a second, so that a stranger cannot
/// keep the disk busy.
const STRANGERS_IN_BATCH: usize = 16;
/// Between two batches. One attempt alone is written at once; many gather meanwhile and share a commit.
const PAUSE: Duration = Duration::from_millis(50);

/// Sees every attempt as it is told, whether it is kept or not. It is called while a device waits: it must be quick.
pub trait Watcher: Send + Sync + 'static {
    /// An attempt of a service's device, by the service's tenant number; 0 where no service has its ID scope. One that goes on is told
    /// again at its end, under the same tracking ID.
    fn saw(&self, tenant: u32, attempt: &Attempt);
}

/// A node's journal. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    watcher: Option<Arc<dyn Watcher>>,
    sender: mpsc::Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Attempts dropped since that was last logged.
    dropped: AtomicU64,
    /// Attempts of unknown devices that wait.
    strangers: AtomicUsize,
}

enum Message {
    Keep(Box<Entry>),
    /// Answered once all that came before is written.
    Flush(oneshot::Sender<()>),
}

struct Entry {
    registry: Registry,
    known: bool,
    attempt: Attempt,
}

impl Journal {
    /// Starts the writer, which runs until the last journal is gone.
    pub fn start() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let counts = Arc::new(Counts::default());
        tokio::spawn(write(receiver, Arc::clone(&counts)));
        Self { watcher: None, sender, counts }
    }

    /// The same with someone who watches.
    #[must_use]
    pub fn watched_by(self, watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// Takes an attempt in, or drops it where too many wait. `known` says whether the service knows the device. Never waits.
    pub fn keep(&self, registry: &Registry, known: bool, attempt: Attempt) {
        if let Some(watcher) = &self.watcher {
            watcher.saw(registry.tenant().0, &attempt);
        }
        if !known && self.counts.strangers.load(Ordering::Relaxed) >= STRANGERS_WAITING_MAX {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.counts.strangers.fetch_add(usize::from(!known), Ordering::Relaxed);
        let entry = Box::new(Entry { registry: registry.clone(), known, attempt });
        if self.sender.try_send(Message::Keep(entry)).is_err() {
            self.counts.strangers.fetch_sub(usize::from(!known), Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was taken in is written, for at most `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (sender, written) = oneshot::channel();
        let flush = async {
            if self.sender.send(Message::Flush(sender)).await.is_ok() {
                let _ = written.await;
            }
        };
        if timeout(patience, flush).await.is_err() {
            warn!("attempts still wait to be written; they are lost");
        }
    }
}

async fn write(mut receiver: mpsc::Receiver<Message>, counts: Arc<Counts>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while receiver.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut entries, mut waiting) = (Vec::new(), Vec::new());
        for message in batch.drain(..) {
            match message {
                Message::Keep(entry) => {
                    counts.strangers.fetch_sub(usize::from(!entry.known), Ordering::Relaxed);
                    entries.push(*entry);
                }
                Message::Flush(sender) => waiting.push(sender),
            }
        }
        let strangers_dropped = write_entries(entries).await;
        let lost = counts.dropped.swap(0, Ordering::Relaxed).saturating_add(strangers_dropped);
        if lost > 0 {
            let mend = "Nothing is wrong with the registrations; look for a storm of refused ones.";
            warn!(check = "journal.full", lost, mend, "attempts came faster than they can be kept; `usher explain` will not show them");
        }
        if waiting.is_empty() {
            sleep(PAUSE).await;
        }
        for sender in waiting {
            let _ = sender.send(());
        }
    }
}

/// Writes a batch; returns how many attempts of unknown devices were passed over.
async fn write_entries(entries: Vec<Entry>) -> u64 {
    let (mut tenants, mut strangers, mut passed_over) = (HashMap::new(), 0_usize, 0_u64);
    for Entry { registry, known, attempt } in entries {
        strangers = strangers.saturating_add(usize::from(!known));
        if !known && strangers > STRANGERS_IN_BATCH {
            passed_over = passed_over.saturating_add(1);
            continue;
        }
        let (_, of_known, of_strangers) = tenants.entry(registry.tenant()).or_insert_with(|| (registry, Vec::new(), Vec::new()));
        if known { of_known.push(attempt) } else { of_strangers.push(attempt) }
    }
    for (registry, known, strangers) in tenants.into_values() {
        for outcome in [registry.keep_attempts(known).await, registry.keep_strangers(strangers).await] {
            if let Err(why) = outcome {
                warn!(check = "journal.store", detail = %why, mend = "See the store's own log lines.", "attempts cannot be kept");
            }
        }
    }
    passed_over
}
