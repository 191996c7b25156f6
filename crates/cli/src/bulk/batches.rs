//! Lines gathered into what one request carries.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    errors::LineError,
    item::{Item, Place},
    source::Source,
};
use crate::service_api::{BULK_MAX, Kind};

/// The most of a request's body, in bytes, as the lines stand in the file: far enough below the 960 KiB that the service takes.
const BODY_BYTES_MAX: u64 = 800 * 1024;
/// The most lines of a batch that cannot be read, so that their errors stay few in memory.
const UNREADABLE_MAX: usize = 100;

/// What one request carries.
#[derive(Debug, Default)]
pub struct Batch {
    /// Enrollments with their lines, at most [`BULK_MAX`], no ID twice: the service names those that failed by their IDs.
    pub asked: Vec<(u64, Value)>,
    /// Lines in between that cannot be read.
    pub unreadable: Vec<LineError>,
    /// Where the next batch begins; `None` in an empty batch.
    pub next: Option<Place>,
}

/// The batches of a source.
pub struct Batches {
    source: Source,
    kind: Kind,
    held: Option<Item>,
}

impl Batches {
    /// Of the rest of a source.
    pub fn new(source: Source, kind: Kind) -> Self {
        Self { source, kind, held: None }
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    pub fn next(&mut self) -> Result<Option<Batch>, String> {
        let (mut batch, mut ids, mut began) = (Batch::default(), HashSet::new(), None);
        while batch.asked.len() < BULK_MAX && batch.unreadable.len() < UNREADABLE_MAX {
            let item = match self.held.take() {
                Some(item) => Some(item),
                None => self.source.next()?,
            };
            let Some(item) = item else { break };
            let size = item.next.offset.saturating_sub(*began.get_or_insert(item.next.offset));
            let id = item.document.as_ref().ok().map(|document| id_of(self.kind, document));
            let repeated = id.is_some_and(|id| !ids.insert(id.to_ascii_lowercase()));
            if repeated || (size > BODY_BYTES_MAX && batch.next.is_some()) {
                self.held = Some(item);
                break;
            }
            batch.next = Some(item.next);
            match item.document {
                Ok(document) => batch.asked.push((item.line, document)),
                Err(why) => batch.unreadable.push(LineError::of_file(item.line, why)),
            }
        }
        Ok(batch.next.is_some().then_some(batch))
    }
}

/// An enrollment's ID.
pub fn id_of(kind: Kind, document: &Value) -> &str {
    document[kind.id_member()].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;
    use crate::bulk::Format;

    fn sizes(text: String) -> Vec<(usize, usize)> {
        let input = Box::new(std::io::Cursor::new(text.into_bytes()));
        let source = Source::open(input, Format::Jsonl, Kind::Individual, PathBuf::new()).unwrap();
        let mut batches = Batches::new(source, Kind::Individual);
        std::iter::from_fn(|| batches.next().unwrap()).map(|batch| (batch.asked.len(), batch.unreadable.len())).collect()
    }

    fn line(id: &str) -> String {
        format!("{{\"registrationId\":\"{id}\"}}\n")
    }

    #[test]
    fn ten_go_together_and_no_id_twice() {
        assert_eq!(sizes((0..25).map(|n| line(&n.to_string())).collect()), [(10, 0), (10, 0), (5, 0)]);
        assert_eq!(sizes([line("a"), line("b"), line("A"), line("c")].concat()), [(2, 0), (2, 0)]);
        assert_eq!(sizes(String::new()), []);
    }

    #[test]
    fn unreadable_lines_go_along() {
        assert_eq!(sizes([line("a"), "{\n".into(), line("b")].concat()), [(2, 1)]);
        assert_eq!(sizes("{\n".repeat(250)), [(0, 100), (0, 100), (0, 50)]);
    }

    #[test]
    fn a_body_stays_below_what_the_service_takes() {
        let long = |n: usize| format!("{{\"registrationId\":\"{n}\",\"x\":\"{}\"}}\n", "y".repeat(250 * 1024));
        let sizes = sizes((0..9).map(long).collect());
        assert_eq!(sizes.iter().map(|(asked, _)| asked).sum::<usize>(), 9);
        assert!(sizes.iter().all(|(asked, _)| *asked <= 4), "{sizes:?}");
    }
}
