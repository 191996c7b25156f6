//! The fields of a composite type (section 1.4): a list whose missing tail counts as null.

use bytes::Bytes;

use super::{
    DecodeError,
    types::{Map, Symbol, Value},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Takes a list apart, field by field. Fields beyond those known are ignored.
pub(crate) struct Fields(std::vec::IntoIter<Value>);

/// Builds a field's type out of a value that is not null.
pub(crate) trait Field: Sized {
    fn from_value(value: Value) -> Option<Self>;
}

impl Fields {
    pub fn of(value: Value) -> Result<Self> {
        match value {
            Value::List(list) => Ok(Self(list.into_iter())),
            _ => Err(DecodeError::Descriptor),
        }
    }

    /// A field that may be null.
    pub fn optional<T: Field>(&mut self, name: &'static str) -> Result<Option<T>> {
        match self.raw() {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some).ok_or(DecodeError::Field(name)),
        }
    }

    /// A field that must be there.
    pub fn mandatory<T: Field>(&mut self, name: &'static str) -> Result<T> {
        self.optional(name)?.ok_or(DecodeError::Field(name))
    }

    /// A field whose null means a default.
    pub fn or_default<T: Field + Default>(&mut self, name: &'static str) -> Result<T> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// A field of any type.
    pub fn raw(&mut self) -> Value {
        self.0.next().unwrap_or_default()
    }

    /// Passes over fields that mean nothing here.
    pub fn skip(&mut self, fields: usize) {
        (0..fields).for_each(|_| drop(self.0.next()));
    }
}

macro_rules! fields {
    ($($type:ty => $variant:ident),+ $(,)?) => {$(
        impl Field for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )+};
}

fields! { bool => Boolean, u8 => Ubyte, u16 => Ushort, u32 => Uint, u64 => Ulong, Bytes => Binary, Map => Map }

impl Field for String {
    /// Symbols too: several clients mix the two up.
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            Value::Symbol(symbol) => Some(symbol.as_str().into()),
            _ => None,
        }
    }
}

impl Field for Symbol {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Symbol(symbol) => Some(symbol),
            Value::String(text) => Self::new(text),
            _ => None,
        }
    }
}

impl Field for Vec<Symbol> {
    /// Where a field is `multiple`, a single value stands for an array of one (section 1.4).
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Array(array) => array.0.into_iter().map(Symbol::from_value).collect(),
            value => Some(vec![Symbol::from_value(value)?]),
        }
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) struct Timestamp(pub i64);

impl Field for Timestamp {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Timestamp(ms) => Some(Self(ms)),
            _ => None,
        }
    }
}

/// A composite value of these fields, without the nulls at its end.
pub(crate) fn composite(descriptor: u64, mut fields: Vec<Value>) -> Value {
    while fields.last() == Some(&Value::Null) {
        fields.pop();
    }
    Value::described(descriptor, Value::List(fields))
}

/// An empty map goes as null.
pub(crate) fn map_or_null(map: Map) -> Value {
    if map.is_empty() { Value::Null } else { Value::Map(map) }
}
