//! ETags as clients write them.
//!
//! The body's `etag` includes the double quotes (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-custom-allocation.md), and
//! clients echo it into `If-Match` as it is, weak-marked, or bare.

use usher_domain::{ErrorCode, ServiceError};

/// Longest condition read, in characters; ours have 18.
const CONDITION_CHARS_MAX: usize = 256;

/// A record's ETag as the wire spells it: 16 hex digits in double quotes.
pub fn wire_etag(etag: u64) -> String {
    format!("\"{etag:016x}\"")
}

/// What a client demands of the record that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// Nothing was said.
    Unsaid,
    /// `*`: there must be a record, whichever.
    Exists,
    /// The record must have this ETag.
    Etag(u64),
    /// The text names no ETag of ours, so that no record can have it.
    Never,
}

impl IfMatch {
    /// Reads `*`, `"x"`, `W/"x"` or `x`; absent and blank say nothing. A text that is no ETag of ours matches no record.
    pub fn parse(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim();
        match text {
            "" => Self::Unsaid,
            "*" => Self::Exists,
            text if text.len() > CONDITION_CHARS_MAX => Self::Never,
            text => bare(text).map_or(Self::Never, Self::Etag),
        }
    }

    /// Judges a record that is there (its ETag) or missing.
    pub(crate) fn check(self, found: Option<u64>) -> Result<(), ServiceError> {
        let holds = match self {
            Self::Unsaid => true,
            Self::Exists => found.is_some(),
            Self::Etag(etag) => found == Some(etag),
            Self::Never => false,
        };
        if holds { Ok(()) } else { Err(self.refusal(found)) }
    }

    fn refusal(self, found: Option<u64>) -> ServiceError {
        let why = match found {
            None => "If-Match was given, and there is no such record. Leave If-Match out to create it.",
            Some(_) => "The record was changed since its ETag was read. Read it again and repeat the change, or send If-Match: *.",
        };
        ServiceError::with(ErrorCode::PreconditionFailed, why)
    }
}

fn bare(text: &str) -> Option<u64> {
    let text = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    if text.is_empty() || text.len() > 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_etag_is_the_same() {
        let etag = 0x00ab_cdef_0123_4567;
        let wire = wire_etag(etag);
        assert_eq!(wire, "\"00abcdef01234567\"");
        for spelling in [wire.as_str(), "00abcdef01234567", "W/\"00abcdef01234567\"", " \"00ABCDEF01234567\" "] {
            assert_eq!(IfMatch::parse(Some(spelling)), IfMatch::Etag(etag), "{spelling}");
        }
    }

    #[test]
    fn conditions_are_judged_against_the_record() {
        assert!(IfMatch::parse(None).check(None).is_ok());
        assert!(IfMatch::parse(Some("*")).check(Some(1)).is_ok());
        for (condition, found) in [("*", None), ("\"2\"", Some(1)), ("\"2\"", None), ("\"13003fea-0000\"", Some(1)), ("\"\"", Some(1))] {
            let refused = IfMatch::parse(Some(condition)).check(found).map_err(|error| error.code);
            assert_eq!(refused, Err(ErrorCode::PreconditionFailed), "{condition}");
        }
    }
}
