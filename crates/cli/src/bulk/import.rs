//! Importing a file: batches in flight, marks behind them in order, errors by line.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use usher_device::Failure;

use super::{
    Format,
    batches::Batches,
    errors::ErrorsFile,
    files::{Files, disk},
    item::Place,
    journal::{Found, Job, Journal, Mark, judge},
    meter::{Bytes, Progress},
    screen::Screen,
    send::{Outcome, Sender},
    source::Source,
    tally::Tally,
};
use crate::service_api::{Kind, ServiceApi};

/// Between two marks of the journal: so much work is compared anew after a kill, and so often the disk is waited for.
const MARK_EVERY: Duration = Duration::from_millis(500);

/// What to import and how.
pub struct Import {
    /// The file, or `-` for standard input.
    pub path: PathBuf,
    /// Its form, where its name does not tell.
    pub format: Option<Format>,
    /// Replace what is there and differs.
    pub update: bool,
    /// Begin anew, whatever a journal says.
    pub restart: bool,
    /// Requests under way at once.
    pub in_flight: usize,
    /// Where lines that were not taken go.
    pub errors: Option<PathBuf>,
    /// No progress.
    pub quiet: bool,
}

/// What an import came to.
pub struct Report {
    /// All lines, those of earlier runs included.
    pub tally: Tally,
    /// Lines that an earlier run had done.
    pub resumed: u64,
    /// Where the errors are, if there are any.
    pub errors: Option<PathBuf>,
    /// How long this run took.
    pub elapsed: Duration,
}

/// Imports a file. Without a service it is only read and checked.
///
/// # Errors
/// What ended it early; the journal then remembers how far it is, and the same command goes on.
pub async fn import(api: Option<Arc<ServiceApi>>, kind: Kind, import: &Import) -> Result<Report, Failure> {
    let files = Files::of(import);
    let service = api.as_ref().map_or("", |api| api.authority()).to_owned();
    let format = Format::of(import.format, &import.path)
        .map_err(|why| Failure::new("import", why, "Say what it is: --format csv or --format jsonl."))?;
    let job = if api.is_some() { files.job(&service, kind)? } else { None };
    let from = match (&job, &files.journal) {
        (Some(job), Some(journal)) if !import.restart => earlier(journal, job)?,
        _ => None,
    };
    let folder = import.path.parent().map(Path::to_owned).unwrap_or_default();
    let header = |why| Failure::new("import", format!("{}: {why}", files.input.display()), "docs/enrollment.md tells the columns.");
    let mut source = Source::open(files.open()?, format, kind, folder).map_err(header)?;
    if let Some(mark) = &from {
        source = source.continued(files.open_at(mark.place)?, mark.place);
    }
    let start = from.unwrap_or(Mark { place: Place::START, error_bytes: 0, tally: Tally::default() });
    let errors = ErrorsFile::open(files.errors.clone(), start.error_bytes).map_err(|why| disk("write", &files.errors, &why))?;
    let journal = match (&job, &files.journal) {
        (Some(job), Some(path)) => Some(Journal::begin(path, job, from.as_ref()).map_err(|why| disk("write", path, &why))?),
        _ => None,
    };
    let mut screen = Screen::new(import.quiet);
    let mut ledger = Ledger { mark: start, errors, journal, marked: None, files };
    let total = job.map_or(0, |job| job.bytes);
    let sender = Sender { api, kind, update: import.update };
    let outcome = run(Batches::new(source, kind), sender, import.in_flight, &mut ledger, |mark| {
        let bytes = Bytes { from: start.place.offset, at: mark.place.offset, total };
        let items_now = mark.tally.all() - start.tally.all();
        let (items, failed) = (mark.tally.all(), mark.tally.failed);
        screen.tell(&Progress { items, items_now, failed, bytes: (total > 0).then_some(bytes), elapsed: screen.elapsed() });
    })
    .await;
    screen.clear();
    let tally = ledger.end(outcome)?;
    let errors = (tally.failed > 0).then_some(ledger.files.errors);
    Ok(Report { tally, resumed: start.tally.all(), errors, elapsed: screen.elapsed() })
}

/// The mark that an earlier run left.
fn earlier(journal: &Path, job: &Job) -> Result<Option<Mark>, Failure> {
    let text = match fs::read_to_string(journal) {
        Ok(text) => text,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(disk("read", journal, &why)),
    };
    match judge(&text, job) {
        Found::Nothing => Ok(None),
        Found::Here(mark) => Ok(Some(mark)),
        Found::Other(why) => {
            let what = format!("{} remembers an import that was not finished, and {why}", journal.display());
            Err(Failure::new("import", what, "Give --restart to begin anew: what is there already is compared, nothing is made twice."))
        }
    }
}

async fn run(
    mut batches: Batches,
    sender: Sender,
    in_flight: usize,
    ledger: &mut Ledger,
    mut tell: impl FnMut(&Mark),
) -> Result<(), Failure> {
    let unreadable =
        |why| Failure::new("import", format!("the input cannot be read any further: {why}"), "Mend it and run the same command again.");
    let work = stream::iter(std::iter::from_fn(|| batches.next().transpose())).map(|batch| {
        let sender = sender.clone();
        // A task each, so that all cores encrypt. Dropped ones go on for a moment, which harms nothing.
        let sent = batch.map(|batch| tokio::spawn(async move { sender.carry_out(batch).await }));
        async move {
            match sent {
                Ok(task) => task.await.unwrap_or_else(|why| Err(Failure::new("import", why.to_string(), "Run the same command again."))),
                Err(why) => Err(unreadable(why)),
            }
        }
    });
    let mut done = Box::pin(work.buffered(in_flight.max(1)));
    let mut interrupted = Box::pin(tokio::signal::ctrl_c());
    loop {
        let outcome = tokio::select! {
            outcome = done.next() => outcome,
            _ = &mut interrupted => return Err(Failure::new("import", "it was stopped", "The same command goes on where it stopped.")),
        };
        let Some(outcome) = outcome else { return Ok(()) };
        ledger.enter(outcome?)?;
        tell(&ledger.mark);
    }
}

/// What is done, on disk.
struct Ledger {
    mark: Mark,
    errors: ErrorsFile,
    journal: Option<Journal>,
    /// None before the first mark, which is made at once.
    marked: Option<Instant>,
    files: Files,
}

impl Ledger {
    fn enter(&mut self, outcome: Outcome) -> Result<(), Failure> {
        self.errors.add(&outcome.errors).map_err(|why| disk("write", &self.files.errors, &why))?;
        self.mark.tally = self.mark.tally.plus(outcome.tally);
        self.mark.place = outcome.next;
        if self.marked.is_some_and(|marked| marked.elapsed() < MARK_EVERY) { Ok(()) } else { self.save() }
    }

    /// Errors first, then the mark that tells of them.
    fn save(&mut self) -> Result<(), Failure> {
        self.mark.error_bytes = self.errors.sync().map_err(|why| disk("write", &self.files.errors, &why))?;
        if let (Some(journal), Some(path)) = (&mut self.journal, &self.files.journal) {
            journal.mark(&self.mark).map_err(|why| disk("write", path, &why))?;
        }
        self.marked = Some(Instant::now());
        Ok(())
    }

    /// The journal goes when everything is done, and stays when it is not.
    fn end(&mut self, outcome: Result<(), Failure>) -> Result<Tally, Failure> {
        self.save()?;
        outcome.map_err(|why| match self.journal {
            Some(_) => Failure {
                next: format!("{}\n  {} lines are done; the same command goes on from there.", why.next, self.mark.tally.all()),
                ..why
            },
            None => why,
        })?;
        if let Some(path) = &self.files.journal {
            let _ = fs::remove_file(path);
        }
        Ok(self.mark.tally)
    }
}
