//! Exporting enrollments: page by page into a file beside the named one, which gets its name when it is whole.

use std::{
    fs::{self, OpenOptions},
    io::{self, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use usher_device::Failure;

use super::{Format, batches::id_of, columns, export_journal::ExportMark, jsonl, meter::Progress, screen::Screen};
use crate::service_api::{Answer, Kind, ServiceApi, TOO_LARGE};

/// Enrollments of a page: the most that the service gives. Halved where a page is larger than an answer may be.
const PAGE_ITEMS: usize = 1_000;

/// What to export and how.
pub struct Export {
    /// The file, or `-` for standard output.
    pub path: PathBuf,
    /// Its form, where its name does not tell.
    pub format: Option<Format>,
    /// Which of them.
    pub query: Option<String>,
    /// With symmetric keys.
    pub keys: bool,
    /// Go on with a half export.
    pub resume: bool,
    /// Requests for keys under way at once.
    pub in_flight: usize,
    /// No progress.
    pub quiet: bool,
}

/// What an export came to.
pub struct Exported {
    /// Enrollments in the file.
    pub items: u64,
    /// How long this run took.
    pub elapsed: Duration,
}

/// Where it goes.
enum Out {
    /// Standard output.
    Stream(io::Stdout),
    /// A half file, its mark and its name when it is whole.
    Part { file: fs::File, part: PathBuf, mark: PathBuf, whole: PathBuf },
}

fn disk(what: &str, path: &Path, why: &io::Error) -> Failure {
    Failure::new("export", format!("cannot {what} {}: {why}", path.display()), "See that the path is right and the disk has room.")
}

impl Out {
    /// Opened where it is to go on.
    fn open(export: &Export, job: &str) -> Result<(Self, Option<ExportMark>), Failure> {
        if export.path == Path::new("-") {
            return Ok((Self::Stream(io::stdout()), None));
        }
        let named = |ending: &str| {
            let mut name = export.path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        let (part, mark) = (named(".part"), named(".part.mark"));
        let from = if export.resume {
            ExportMark::read(&mark, job).map_err(|why| Failure::new("export", why, "Begin anew: leave --resume out."))?
        } else {
            None
        };
        if from.is_none() {
            let _ = fs::remove_file(&mark);
        }
        // The file may hold keys: its owner's alone.
        let open = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&part)?;
            let bytes = from.as_ref().map_or(0, |mark| mark.bytes);
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(file)
        };
        let file = open().map_err(|why| disk("write", &part, &why))?;
        Ok((Self::Part { file, part, mark, whole: export.path.clone() }, from))
    }

    fn write(&mut self, text: &[u8]) -> Result<u64, Failure> {
        match self {
            Self::Stream(out) => {
                out.write_all(text).and_then(|()| out.flush()).map(|()| 0).map_err(|why| disk("write", Path::new("-"), &why))
            }
            Self::Part { file, part, .. } => {
                file.write_all(text).and_then(|()| file.stream_position()).map_err(|why| disk("write", part, &why))
            }
        }
    }

    /// Everything so far is durable, then the mark says so.
    fn save(&self, at: &ExportMark) -> Result<(), Failure> {
        let Self::Part { file, part, mark, .. } = self else { return Ok(()) };
        file.sync_data().map_err(|why| disk("write", part, &why))?;
        at.write(mark).map_err(|why| disk("write", mark, &why))
    }

    fn finish(self) -> Result<(), Failure> {
        let Self::Part { file, part, mark, whole } = self else { return Ok(()) };
        file.sync_all().and_then(|()| fs::rename(&part, &whole)).map_err(|why| disk("write", &whole, &why))?;
        let _ = fs::remove_file(mark);
        Ok(())
    }
}

/// Exports all enrollments of a kind, or those that a query chooses. The file is not a moment's picture: what is changed meanwhile is
/// there as it was before or after.
///
/// # Errors
/// What ended it early; a named file then stays as it was, and `--resume` goes on.
pub async fn export(api: &Arc<ServiceApi>, kind: Kind, export: &Export) -> Result<Exported, Failure> {
    let format = Format::of(export.format, &export.path)
        .map_err(|why| Failure::new("export", why, "Say what it shall be: --format csv or --format jsonl."))?;
    let job = format!("{} {} {format:?} {:?} keys={}", api.authority(), kind.collection(), export.query, export.keys);
    let (mut out, from) = Out::open(export, &job)?;
    let mut screen = Screen::new(export.quiet);
    let (mut token, mut items) = (from.as_ref().map(|mark| mark.continuation.clone()), from.as_ref().map_or(0, |mark| mark.items));
    let began = items;
    if from.is_none() && format == Format::Csv {
        out.write(&csv_text(&[columns::header(kind).iter().map(ToString::to_string).collect()])?)?;
    }
    loop {
        let (page, next) = page(api, kind, export, token.as_deref()).await?;
        let page = if export.keys { with_keys(api, kind, page, export.in_flight).await? } else { page };
        let bytes = out.write(&text(format, kind, &page)?)?;
        items += page.len() as u64;
        let progress = Progress { items, items_now: items - began, failed: 0, bytes: None, elapsed: screen.elapsed() };
        screen.tell(&progress);
        let Some(next) = next else { break };
        out.save(&ExportMark { job: job.clone(), continuation: next.clone(), bytes, items })?;
        token = Some(next);
    }
    screen.clear();
    out.finish()?;
    Ok(Exported { items, elapsed: screen.elapsed() })
}

async fn page(api: &ServiceApi, kind: Kind, export: &Export, token: Option<&str>) -> Result<(Vec<Value>, Option<String>), Failure> {
    let mut wanted = PAGE_ITEMS;
    loop {
        match api.page(&kind.query_path(), export.query.as_deref(), wanted, token).await {
            Ok(answer) => return read_page(answer),
            Err(why) if why.step == TOO_LARGE && wanted > 1 => wanted /= 2,
            Err(why) => return Err(why),
        }
    }
}

fn read_page(answer: Answer) -> Result<(Vec<Value>, Option<String>), Failure> {
    let next = answer.continuation.clone();
    match answer.accepted().map_err(|refusal| refusal.failure())? {
        Value::Array(mut items) => {
            items.iter_mut().for_each(jsonl::strip);
            Ok((items, next))
        }
        _ => Err(Failure::new("service API", "the answer is not a list", "Is this the connection string of a provisioning service?")),
    }
}

/// Adds the symmetric keys, which listings leave out. One that was deleted since is left out as a whole.
async fn with_keys(api: &Arc<ServiceApi>, kind: Kind, page: Vec<Value>, in_flight: usize) -> Result<Vec<Value>, Failure> {
    let fetch = |mut document: Value| {
        let api = Arc::clone(api);
        let task = tokio::spawn(async move {
            if document["attestation"]["type"] != "symmetricKey" {
                return Ok(Some(document));
            }
            match api.keys(kind, id_of(kind, &document)).await? {
                answer if answer.status == 404 => Ok(None),
                answer => {
                    document["attestation"] = answer.accepted().map_err(|refusal| refusal.failure())?;
                    Ok(Some(document))
                }
            }
        });
        async move { task.await.unwrap_or_else(|why| Err(Failure::new("export", why.to_string(), "Run the command again with --resume."))) }
    };
    let found: Vec<Option<Value>> = stream::iter(page).map(fetch).buffered(in_flight.max(1)).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn text(format: Format, kind: Kind, page: &[Value]) -> Result<Vec<u8>, Failure> {
    match format {
        Format::Csv => csv_text(&page.iter().map(|document| columns::row(kind, document)).collect::<Vec<_>>()),
        Format::Jsonl => Ok(page.iter().flat_map(|document| (document.to_string() + "\n").into_bytes()).collect()),
    }
}

fn csv_text(rows: &[Vec<String>]) -> Result<Vec<u8>, Failure> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let broken = |why: &dyn std::fmt::Display| Failure::new("export", why.to_string(), "Export as JSONL.");
    for row in rows {
        writer.write_record(row).map_err(|why| broken(&why))?;
    }
    writer.into_inner().map_err(|why| broken(&why))
}
