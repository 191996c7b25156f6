//! The lines of an input, one after the other, in bounded memory.

use std::{
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Format,
    columns::Header,
    item::{Item, Place},
    jsonl,
};
use crate::service_api::Kind;

/// The longest line, in bytes: the service takes 96 KiB, and a key or twin may be spelled longer in a file than on the wire.
const LINE_BYTES_MAX: usize = 256 * 1024;

/// Where bytes come from.
pub type Input = Box<dyn Read + Send>;

/// The lines of an input.
pub enum Source {
    /// Rows below a header.
    Csv {
        /// The rows.
        rows: csv::Reader<Bounded>,
        /// What their cells mean.
        header: Header,
        /// Where the input began.
        from: Place,
        /// Where files that cells name are sought.
        folder: PathBuf,
    },
    /// JSON objects.
    Jsonl {
        /// The lines.
        lines: BufReader<Input>,
        /// Which of the two they are.
        kind: Kind,
        /// Where the next one begins.
        at: Place,
    },
}

impl Source {
    /// An input from its start. Files that a CSV names are sought in `folder`.
    ///
    /// # Errors
    /// A header that cannot be read.
    pub fn open(input: Input, format: Format, kind: Kind, folder: PathBuf) -> Result<Self, String> {
        if format == Format::Jsonl {
            return Ok(Self::Jsonl { lines: BufReader::new(input), kind, at: Place::START });
        }
        let mut rows = reader(input);
        let mut first = csv::StringRecord::new();
        rows.read_record(&mut first).map_err(|why| format!("the header cannot be read: {why}"))?;
        Ok(Self::Csv { header: Header::read(first.iter(), kind)?, rows, from: Place::START, folder })
    }

    /// The same input from a place on, at which `input` stands already.
    #[must_use]
    pub fn continued(self, input: Input, from: Place) -> Self {
        match self {
            Self::Csv { header, folder, .. } => Self::Csv { rows: reader(input), header, from, folder },
            Self::Jsonl { kind, .. } => Self::Jsonl { lines: BufReader::new(input), kind, at: from },
        }
    }

    /// The next line that says something; `None` at the end.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    pub fn next(&mut self) -> Result<Option<Item>, String> {
        match self {
            Self::Csv { rows, header, from, folder } => next_row(rows, header, *from, folder),
            Self::Jsonl { lines, kind, at } => next_line(lines, *kind, at),
        }
    }
}

fn next_row(rows: &mut csv::Reader<Bounded>, header: &Header, from: Place, folder: &std::path::Path) -> Result<Option<Item>, String> {
    let mut row = csv::ByteRecord::new();
    rows.get_ref().line_done();
    if !rows.read_byte_record(&mut row).map_err(|why| why.to_string())? {
        return Ok(None);
    }
    let place = |at: &csv::Position| Place { offset: from.offset + at.byte(), line: from.line + at.line() - 1 };
    let line = row.position().map_or(from.line, |at| place(at).line);
    let cells: Result<Vec<&str>, _> = row.iter().map(std::str::from_utf8).collect();
    let read_file = |path: &str| {
        let path = folder.join(path);
        std::fs::read_to_string(&path).map_err(|why| format!("cannot read {}: {why}", path.display()))
    };
    let document = cells.map_err(|_| "it is not UTF-8".to_owned()).and_then(|cells| header.document(&cells, &read_file));
    Ok(Some(Item { line, next: place(rows.position()), document }))
}

fn next_line(lines: &mut BufReader<Input>, kind: Kind, at: &mut Place) -> Result<Option<Item>, String> {
    loop {
        let (line, mut text) = (at.line, Vec::new());
        let broken = |why: io::Error| why.to_string();
        lines.take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut text).map_err(broken)?;
        if text.is_empty() {
            return Ok(None);
        }
        let too_long = text.len() > LINE_BYTES_MAX;
        let skipped = if too_long && text.last() != Some(&b'\n') { lines.skip_until(b'\n').map_err(broken)? } else { 0 };
        *at = Place { offset: at.offset + (text.len() + skipped) as u64, line: line + 1 };
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        if !text.trim_ascii().is_empty() {
            let read = || std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned()).and_then(|text| jsonl::document(text, kind));
            let document = if too_long { Err(format!("it is longer than {LINE_BYTES_MAX} bytes")) } else { read() };
            return Ok(Some(Item { line, next: *at, document }));
        }
    }
}

fn reader(input: Input) -> csv::Reader<Bounded> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Bounded { input, left: Arc::new(AtomicUsize::new(LINE_BYTES_MAX)) })
}

/// An input that breaks off in an overlong row: a quote that is never closed would otherwise take the rest of the file into memory.
pub struct Bounded {
    input: Input,
    left: Arc<AtomicUsize>,
}

impl Bounded {
    fn line_done(&self) {
        self.left.store(LINE_BYTES_MAX, Ordering::Relaxed);
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other(format!("a row is longer than {LINE_BYTES_MAX} bytes; is a quote not closed?")));
        }
        let read = self.input.read(buffer)?;
        self.left.store(left.saturating_sub(read), Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(text: &'static [u8], format: Format) -> Result<Source, String> {
        Source::open(Box::new(text), format, Kind::Individual, PathBuf::new())
    }

    fn all(source: &mut Source) -> Vec<Item> {
        std::iter::from_fn(|| source.next().unwrap()).collect()
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        let csv: &[u8] = b"registrationId,primaryKey,twin\na,k,\n\nb,k,\"{\n}\"\r\nc,k,\nd,k,";
        let jsonl: &[u8] = b"\xef\xbb\xbf{\"registrationId\":\"a\"}\n\n{\"registrationId\":\"b\"}\r\n{\"registrationId\":\"c\"}\n{\"registrationId\":\"d\"}";
        for (text, format, lines) in [(csv, Format::Csv, [2, 4, 6, 7]), (jsonl, Format::Jsonl, [1, 3, 4, 5])] {
            let whole = all(&mut open(text, format).unwrap());
            assert_eq!(whole.iter().map(|item| item.line).collect::<Vec<_>>(), lines);
            assert!(whole.iter().all(|item| item.document.is_ok()), "{whole:?}");
            for (at, item) in whole.iter().enumerate() {
                let rest = text.get(usize::try_from(item.next.offset).unwrap()..).unwrap();
                let continued = all(&mut open(text, format).unwrap().continued(Box::new(rest), item.next));
                assert_eq!(continued, whole[at + 1..], "{format:?} after {}", item.line);
            }
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_does_not_hide_the_next() {
        let items = all(&mut open(b"registrationId,primaryKey\n\xff,k\nb\nc,k\n", Format::Csv).unwrap());
        assert_eq!(items.iter().map(|item| item.document.is_ok()).collect::<Vec<_>>(), [false, false, true]);
        let items = all(&mut open(b"{\n{\"registrationId\":\"b\"}\n\xff\n", Format::Jsonl).unwrap());
        assert_eq!(items.iter().map(|item| item.document.is_ok()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn overlong_lines_are_refused_and_not_kept() {
        let long = format!("{{\"registrationId\":\"{}\"}}\n{{\"registrationId\":\"b\"}}\n", "x".repeat(2 * LINE_BYTES_MAX)).leak();
        let items = all(&mut open(long.as_bytes(), Format::Jsonl).unwrap());
        assert!(items[0].document.as_ref().is_err_and(|why| why.contains("longer")) && items[1].document.is_ok());
        assert_eq!((items[1].line, items[1].next.offset), (2, long.len() as u64));
        let open_quote = format!("registrationId,primaryKey\na,\"{}", "x\n".repeat(LINE_BYTES_MAX)).leak();
        let mut source = open(open_quote.as_bytes(), Format::Csv).unwrap();
        assert!(source.next().unwrap_err().contains("quote not closed"));
    }
}
