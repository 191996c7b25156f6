//! One record of an MMDB file, read whole within bounds.
//!
//! The library's own way to a single member passes over the others without a bound, and pointers of a damaged file that lead in a circle
//! end the process there (maxminddb 0.27: `skip_value`). Read in full, our bounds on depth and on the number of values hold.

use std::{cell::Cell, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Most values in a record. City databases have some hundred, names in many languages included.
const VALUES_MAX: usize = 4_096;
/// Deepest nesting in a record; the usual databases have four levels. The library's own bound is 512.
const NESTING_MAX: usize = 32;

thread_local! {
    /// How many values the record that this thread reads may still have: the library hands nothing of ours from value to value.
    static LEFT: Cell<usize> = const { Cell::new(0) };
    /// How deep the value is that is being read.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A value of a record, as far as a region may be told by it.
#[derive(Debug, PartialEq)]
pub enum Field {
    /// A text.
    Text(String),
    /// Members by name.
    Map(BTreeMap<String, Field>),
    /// Values in a row.
    List(Vec<Field>),
    /// Numbers and the like.
    Other,
}

impl Field {
    /// Reads a record by `decode`, on this thread.
    pub fn within_bounds<T>(decode: impl FnOnce() -> T) -> T {
        LEFT.set(VALUES_MAX);
        DEPTH.set(0);
        decode()
    }

    /// The text at the end of a path of names; a number names a place in a list.
    pub fn text(&self, path: &[&str]) -> Option<&str> {
        let found = path.iter().try_fold(self, |field, part| match field {
            Self::Map(members) => members.get(*part),
            Self::List(values) => values.get(part.parse::<usize>().ok()?),
            Self::Text(_) | Self::Other => None,
        })?;
        if let Self::Text(text) = found { Some(text) } else { None }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let left = LEFT.get().checked_sub(1).ok_or_else(|| D::Error::custom("the record has too many values"))?;
        LEFT.set(left);
        let depth = DEPTH.get();
        if depth >= NESTING_MAX {
            return Err(D::Error::custom("the record nests too deep"));
        }
        DEPTH.set(depth + 1);
        let read = deserializer.deserialize_any(FieldVisitor);
        DEPTH.set(depth);
        read
    }
}

/// Makes a visit of a value that cannot name a region.
macro_rules! other {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E: Error>(self, _: $kind) -> Result<Field, E> {
            Ok(Field::Other)
        })*
    };
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    other!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_u128: u128, visit_f64: f64, visit_bytes: &[u8]);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
        Ok(Field::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Field>()? {
            members.entry(name).or_insert(value);
        }
        Ok(Field::Map(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Field::List(values))
    }
}
