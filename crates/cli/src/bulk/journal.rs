//! How far an import is: a file beside its input, so that it goes on after any end.
//!
//! The first line tells what is imported where; each further line is a mark: everything before it is done. Marks are made durable after
//! what they tell of, so a mark may be behind and never ahead. What was done beyond the last one is found in the service, compared, and
//! counted as there already.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{item::Place, tally::Tally};

/// The form of the file.
const VERSION: u32 = 1;

/// What is imported where. A journal belongs to one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    version: u32,
    /// Length of the input in bytes.
    pub bytes: u64,
    /// Digest of its first bytes.
    pub head: String,
    /// The service's host.
    pub service: String,
    /// The collection it goes to.
    pub collection: String,
}

impl Job {
    /// A job.
    pub fn new(bytes: u64, head: String, service: &str, collection: &str) -> Self {
        Self { version: VERSION, bytes, head, service: service.to_owned(), collection: collection.to_owned() }
    }
}

/// Everything before this is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Where to go on.
    pub place: Place,
    /// Length of the file of errors.
    pub error_bytes: u64,
    /// What became of the lines before.
    pub tally: Tally,
}

/// What a journal's text says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none, or none with a mark.
    Nothing,
    /// It can go on.
    Here(Mark),
    /// It is of another job; why.
    Other(&'static str),
}

/// Judges the text of a journal. A last line that is torn counts as not written.
pub fn judge(text: &str, job: &Job) -> Found {
    let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let Some(first) = lines.next() else { return Found::Nothing };
    let Ok(other) = serde_json::from_str::<Job>(first) else { return Found::Other("it is not one of this usher's") };
    let differs = [
        (other.version != job.version, "it is of another version of usher"),
        (other.bytes != job.bytes || other.head != job.head, "the input has changed since"),
        (other.service != job.service, "it tells of an import into another service"),
        (other.collection != job.collection, "it tells of another kind of enrollment"),
    ];
    if let Some((_, why)) = differs.iter().find(|(differs, _)| *differs) {
        return Found::Other(why);
    }
    lines.filter_map(|line| serde_json::from_str(line).ok()).next_back().map_or(Found::Nothing, Found::Here)
}

/// The journal of a running import.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Begins one, with its first mark where the job goes on. Written beside its place and renamed, so that it is never half a journal.
    ///
    /// # Errors
    /// I/O.
    pub fn begin(path: &Path, job: &Job, from: Option<&Mark>) -> io::Result<Self> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
        let mut text = serde_json::to_string(job)? + "\n";
        if let Some(mark) = from {
            text += &(serde_json::to_string(mark)? + "\n");
        }
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        fs::rename(&beside, path)?;
        Ok(Self { file })
    }

    /// Adds a mark and makes it durable.
    ///
    /// # Errors
    /// I/O.
    pub fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.file.write_all((serde_json::to_string(mark)? + "\n").as_bytes())?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn job() -> Job {
        Job::new(100, "aa".into(), "h", "enrollments")
    }

    fn mark(line: u64) -> Mark {
        Mark { place: Place { offset: line * 10, line }, error_bytes: 0, tally: Tally { created: line, ..Tally::default() } }
    }

    fn text(marks: &[u64]) -> String {
        let marks: String = marks.iter().map(|line| serde_json::to_string(&mark(*line)).unwrap() + "\n").collect();
        serde_json::to_string(&job()).unwrap() + "\n" + &marks
    }

    #[test]
    fn the_last_whole_mark_counts_wherever_the_text_was_cut() {
        let whole = text(&[3, 7]);
        let (one, none) = (text(&[3]).len(), text(&[]).len());
        for cut in 0..=whole.len() {
            let expected = match cut {
                cut if cut == whole.len() => Found::Here(mark(7)),
                cut if cut >= one => Found::Here(mark(3)),
                cut if cut >= none => Found::Nothing,
                _ => Found::Nothing,
            };
            assert_eq!(judge(&whole[..cut], &job()), expected, "{cut}");
        }
    }

    #[test]
    fn another_job_is_told_apart() {
        let text = text(&[3]);
        for other in [
            Job { bytes: 99, ..job() },
            Job { head: "bb".into(), ..job() },
            Job { service: "i".into(), ..job() },
            Job { collection: "enrollmentGroups".into(), ..job() },
        ] {
            assert!(matches!(judge(&text, &other), Found::Other(_)), "{other:?}");
        }
        assert!(matches!(judge("{}\n", &job()), Found::Other(_)));
    }

    #[test]
    fn a_journal_that_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("usher-journal-{}", std::process::id()));
        let mut journal = Journal::begin(&path, &job(), Some(&mark(3))).unwrap();
        assert_eq!(judge(&fs::read_to_string(&path).unwrap(), &job()), Found::Here(mark(3)));
        journal.mark(&mark(9)).unwrap();
        assert_eq!(judge(&fs::read_to_string(&path).unwrap(), &job()), Found::Here(mark(9)));
        fs::remove_file(path).unwrap();
    }
}
