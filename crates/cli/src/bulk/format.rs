//! The forms of a file with many enrollments.

use std::path::Path;

use clap::ValueEnum;

/// How enrollments stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A header, then a row each
    Csv,
    /// A JSON object a line, as the service API writes enrollments
    Jsonl,
}

impl Format {
    /// What was said, or else what the file's name ends with.
    ///
    /// # Errors
    /// A name that ends with neither.
    pub fn of(said: Option<Self>, path: &Path) -> Result<Self, String> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        match (said, ending.as_str()) {
            (Some(format), _) => Ok(format),
            (None, "csv") => Ok(Self::Csv),
            (None, "jsonl" | "ndjson") => Ok(Self::Jsonl),
            (None, _) => Err(format!("{} ends with neither .csv nor .jsonl", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_unless_something_was_said() {
        assert_eq!(Format::of(None, Path::new("a.CSV")), Ok(Format::Csv));
        assert_eq!(Format::of(None, Path::new("a.ndjson")), Ok(Format::Jsonl));
        assert_eq!(Format::of(Some(Format::Jsonl), Path::new("-")), Ok(Format::Jsonl));
        assert!(Format::of(None, Path::new("-")).is_err());
    }
}
