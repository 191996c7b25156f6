//! The chain: entries in order, each with the digest of the one before.

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::Entry;

/// What the first entry has as the digest before it.
const BEGINNING: &str = "";

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Counted from 1, without gaps.
    pub number: u64,
    /// The digest of the entry before; empty for the first.
    pub previous: String,
    /// The entry as JSON, to the letter as it was digested.
    pub text: String,
    /// SHA-256 over number, previous digest and text, in hexadecimal.
    pub digest: String,
}

/// The end of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its last number; 0 of an empty one.
    pub number: u64,
    /// Its last digest.
    pub digest: String,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Break {
    /// These numbers are missing: the first of them.
    Missing(u64),
    /// This entry is not what was digested.
    Changed(u64),
    /// This entry does not follow the one before it.
    Unlinked(u64),
    /// The newest entry is not the one that the chain's end names.
    End,
    /// No entry has this digest, which was kept elsewhere.
    Unknown(String),
}

impl std::fmt::Display for Break {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(number) => write!(f, "entry {number} is missing"),
            Self::Changed(number) => write!(f, "entry {number} was changed"),
            Self::Unlinked(number) => write!(f, "entry {number} does not follow the one before it, which was changed or exchanged"),
            Self::End => f.write_str("entries were cut off the end"),
            Self::Unknown(digest) => {
                write!(f, "no entry has the digest {digest}: entries were cut off the end, or it is another installation's")
            }
        }
    }
}

impl Head {
    /// The link behind this end.
    pub fn link(&self, entry: &Entry) -> Result<Link, serde_json::Error> {
        let text = serde_json::to_string(entry)?;
        let (number, previous) = (self.number.saturating_add(1), if self.number == 0 { BEGINNING.to_owned() } else { self.digest.clone() });
        let digest = digest(number, &previous, &text);
        Ok(Link { number, previous, text, digest })
    }
}

impl Link {
    /// The end of a chain that ends here.
    pub fn head(&self) -> Head {
        Head { number: self.number, digest: self.digest.clone() }
    }

    /// Whether it is what was digested, and the one that `later`, the one after it, was linked to.
    pub fn check(&self, later: Option<&Self>) -> Result<(), Break> {
        if digest(self.number, &self.previous, &self.text) != self.digest {
            return Err(Break::Changed(self.number));
        }
        match later {
            Some(later) if later.number != self.number.saturating_add(1) => Err(Break::Missing(self.number.saturating_add(1))),
            Some(later) if later.previous != self.digest => Err(Break::Unlinked(later.number)),
            _ => Ok(()),
        }
    }

    /// Whether nothing stood before it.
    pub fn check_first(&self) -> Result<(), Break> {
        if self.number == 1 && self.previous == BEGINNING { Ok(()) } else { Err(Break::Missing(self.number.saturating_sub(1))) }
    }
}

/// Number and lengths go in too, so that no two different links digest the same bytes.
fn digest(number: u64, previous: &str, text: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&number.to_be_bytes());
    context.update(&(previous.len() as u64).to_be_bytes());
    context.update(previous.as_bytes());
    context.update(text.as_bytes());
    usher_domain::ids::hex(context.finish().as_ref())
}
