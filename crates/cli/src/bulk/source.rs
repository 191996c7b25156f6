//! The enrollments of an input, one after the other.

use std::{fs, path::PathBuf};

use super::{
    Format,
    chunks::{CHUNK_BYTES_MAX, Chunks, Input},
    columns::Header,
    item::{Item, Place},
    jsonl,
};
use crate::service_api::Kind;

/// An input and what its lines mean.
pub struct Source {
    chunks: Chunks,
    form: Form,
}

enum Form {
    /// Rows below a header; files that cells name are sought in the folder.
    Csv(Header, PathBuf),
    Jsonl(Kind),
}

impl Source {
    /// An input from its start. Files that a CSV names are sought in `folder`.
    ///
    /// # Errors
    /// A header that cannot be read.
    pub fn open(input: Input, format: Format, kind: Kind, folder: PathBuf) -> Result<Self, String> {
        let mut chunks = Chunks::new(input, Place::START, format == Format::Csv);
        if format == Format::Jsonl {
            return Ok(Self { chunks, form: Form::Jsonl(kind) });
        }
        let first = chunks.next().map_err(|why| why.to_string())?.ok_or("it is empty; its first line must name the columns")?;
        let text = first.text.ok_or("its first line is too long for a header")?;
        let cells = cells(&text)?;
        Ok(Self { chunks, form: Form::Csv(Header::read(cells.iter().map(String::as_str), kind)?, folder) })
    }

    /// The same input from a place on, at which `input` stands already.
    #[must_use]
    pub fn continued(self, input: Input, from: Place) -> Self {
        let rows = matches!(self.form, Form::Csv(..));
        Self { chunks: Chunks::new(input, from, rows), form: self.form }
    }

    /// The next line that says something; `None` at the end.
    ///
    /// # Errors
    /// An input that cannot be read any further.
    pub fn next(&mut self) -> Result<Option<Item>, String> {
        let Some(chunk) = self.chunks.next().map_err(|why| why.to_string())? else { return Ok(None) };
        let document = match &chunk.text {
            None => Err(format!("it is longer than {CHUNK_BYTES_MAX} bytes; is a quote not closed?")),
            Some(text) => self.form.document(text),
        };
        Ok(Some(Item { line: chunk.line, next: self.chunks.place(), document }))
    }
}

impl Form {
    fn document(&self, text: &[u8]) -> Result<serde_json::Value, String> {
        match self {
            Self::Jsonl(kind) => jsonl::document(std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?, *kind),
            Self::Csv(header, folder) => {
                let read_file = |path: &str| {
                    let path = folder.join(path);
                    fs::read_to_string(&path).map_err(|why| format!("cannot read {}: {why}", path.display()))
                };
                let cells = cells(text)?;
                header.document(&cells.iter().map(String::as_str).collect::<Vec<_>>(), &read_file)
            }
        }
    }
}

/// The cells of a row.
fn cells(text: &[u8]) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(text.len().max(1)).from_reader(text);
    let mut row = csv::StringRecord::new();
    reader.read_record(&mut row).map_err(|why| match why.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8".to_owned(),
        _ => why.to_string(),
    })?;
    Ok(row.iter().map(str::to_owned).collect())
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
        let jsonl: &[u8] =
            b"\xef\xbb\xbf{\"registrationId\":\"a\"}\n\n{\"registrationId\":\"b\"}\r\n{\"registrationId\":\"c\"}\n{\"registrationId\":\"d\"}";
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
        let long = format!("{{\"registrationId\":\"{}\"}}\n{{\"registrationId\":\"b\"}}\n", "x".repeat(2 * CHUNK_BYTES_MAX)).leak();
        let items = all(&mut open(long.as_bytes(), Format::Jsonl).unwrap());
        assert!(items[0].document.as_ref().is_err_and(|why| why.contains("longer")) && items[1].document.is_ok());
        assert_eq!((items[1].line, items[1].next.offset), (2, long.len() as u64));
        let open_quote = format!("registrationId,primaryKey\na,\"{}\nb,k\n", "x".repeat(CHUNK_BYTES_MAX)).leak();
        let items = all(&mut open(open_quote.as_bytes(), Format::Csv).unwrap());
        assert_eq!(items.iter().map(|item| item.document.is_ok()).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_file_without_a_header_is_refused() {
        assert!(open(b"", Format::Csv).is_err_and(|why| why.contains("empty")));
        assert!(open(b"press-7,a2V5\n", Format::Csv).is_err_and(|why| why.contains("unknown column")));
    }
}
