//! ETags: a counter in base64, as IoT Hub's look, and the conditions that requests put on them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::Fault;

/// The ETag of a revision, unquoted: base64 of its eight bytes, big end first.
pub fn of_revision(revision: u64) -> String {
    STANDARD.encode(revision.to_be_bytes())
}

/// The condition under which a request may act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No header: creates, or changes whatever is there, as the operation has it.
    None,
    /// `If-Match: *`: whatever is there.
    Any,
    /// `If-Match: "etag"`.
    Match(String),
}

impl Condition {
    /// From the value of `If-Match`. SDKs quote it, double the quotes or leave them out, and quote the star too
    /// (azure-iot-sdk-node: registry `_ensureQuoted('*')`).
    pub fn from_header(value: Option<&str>) -> Self {
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Self::None };
        let bare = value.strip_prefix("W/").unwrap_or(value).trim_matches('"');
        if bare == "*" { Self::Any } else { Self::Match(bare.to_owned()) }
    }

    /// Whether the record with this ETag may be changed.
    pub fn check(&self, etag: &str) -> Result<(), Fault> {
        match self {
            Self::Match(wanted) if wanted != etag => Err(Fault::precondition()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_sdks_use_is_understood() {
        assert_eq!(Condition::from_header(None), Condition::None);
        for star in ["*", "\"*\"", " * "] {
            assert_eq!(Condition::from_header(Some(star)), Condition::Any);
        }
        for tag in ["\"AAE=\"", "AAE=", "W/\"AAE=\"", "\"\"AAE=\"\""] {
            assert_eq!(Condition::from_header(Some(tag)), Condition::Match("AAE=".into()));
        }
        assert!(Condition::Match("a".into()).check("b").is_err());
        assert!(Condition::Any.check("b").is_ok());
    }
}
