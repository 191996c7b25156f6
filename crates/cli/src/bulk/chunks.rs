//! An input cut into lines, or into CSV rows, whose quoted cells may hold line ends. In bounded memory, whatever comes.

use std::io::{self, BufRead as _, BufReader, Read};

use super::item::Place;

/// The longest line or row, in bytes: the service takes 96 KiB, and a key or twin may be spelled longer in a file than on the wire.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// Where bytes come from.
pub type Input = Box<dyn Read + Send>;

/// A line or row that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The line it begins at.
    pub line: u64,
    /// Its bytes, without a byte order mark; `None` where it is longer than [`CHUNK_BYTES_MAX`].
    pub text: Option<Vec<u8>>,
}

/// The chunks of an input.
pub struct Chunks {
    input: BufReader<Input>,
    at: Place,
    rows: bool,
}

impl Chunks {
    /// From a place on, at which `input` stands. `rows` minds quotes.
    pub fn new(input: Input, at: Place, rows: bool) -> Self {
        Self { input: BufReader::new(input), at, rows }
    }

    /// Where the next one begins.
    pub fn place(&self) -> Place {
        self.at
    }

    /// The next one that is not blank; `None` at the end.
    ///
    /// # Errors
    /// I/O.
    pub fn next(&mut self) -> io::Result<Option<Chunk>> {
        loop {
            let line = self.at.line;
            let Some(text) = self.next_or_blank()? else { return Ok(None) };
            let blank = text.as_ref().is_some_and(|text| text.trim_ascii().is_empty());
            if !blank {
                return Ok(Some(Chunk { line, text }));
            }
        }
    }

    fn next_or_blank(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let (mut text, mut quotes) = (Vec::new(), Quotes::FieldStart);
        loop {
            let before = text.len();
            let room = (CHUNK_BYTES_MAX + 1 - before) as u64;
            let read = (&mut self.input).take(room).read_until(b'\n', &mut text)?;
            self.at.offset += read as u64;
            let ended = text.last() == Some(&b'\n') && read > 0;
            if ended {
                self.at.line += 1;
            }
            if text.len() > CHUNK_BYTES_MAX {
                if !ended {
                    self.at.offset += self.input.skip_until(b'\n')? as u64;
                    self.at.line += 1;
                }
                return Ok(Some(None));
            }
            quotes = text.iter().skip(before).fold(quotes, |quotes, byte| quotes.after(*byte));
            let open = self.rows && matches!(quotes, Quotes::Inside);
            match (read, ended && open) {
                (0, _) if before == 0 => return Ok(None),
                (0, _) | (_, false) => break,
                (_, true) => {}
            }
        }
        if text.starts_with(b"\xef\xbb\xbf") {
            text.drain(..3);
        }
        Ok(Some(Some(text)))
    }
}

/// Where in a row a byte stands, as far as quotes go (RFC 4180 section 2).
#[derive(Clone, Copy)]
enum Quotes {
    FieldStart,
    Outside,
    Inside,
    /// After a quote inside: the end, or the first of two.
    Closing,
}

impl Quotes {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Inside, b'"') => Self::Closing,
            (Self::Inside, _) | (Self::FieldStart | Self::Closing, b'"') => Self::Inside,
            (_, b',' | b'\n') => Self::FieldStart,
            // A byte order mark stands before the first cell.
            (Self::FieldStart, 0xef | 0xbb | 0xbf) => Self::FieldStart,
            _ => Self::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lines(text: &'static [u8], rows: bool) -> Vec<(u64, String)> {
        let mut chunks = Chunks::new(Box::new(text), Place::START, rows);
        let text = |chunk: Chunk| (chunk.line, String::from_utf8(chunk.text.unwrap()).unwrap());
        std::iter::from_fn(|| chunks.next().unwrap()).map(text).collect()
    }

    #[test]
    fn rows_go_on_over_line_ends_in_quotes_alone() {
        let text = b"\xef\xbb\xbfa,\"x\n\"\"y\",b\r\n\n5\" pipe,\"\"\nlast";
        let expected = [(1, "a,\"x\n\"\"y\",b\r\n"), (4, "5\" pipe,\"\"\n"), (5, "last")].map(|(line, text)| (line, text.to_owned()));
        assert_eq!(lines(text, true), expected);
        assert_eq!(lines(b"{\"\n}\n", false).len(), 2);
        assert_eq!(lines(b"", true), []);
        assert_eq!(lines(b"a,\"never closed\nb\n", true).len(), 1);
    }
}
