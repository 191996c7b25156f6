//! AMQP's values (part 1): one enum, so that annotations and application properties of any type pass through unharmed.

use std::fmt;

use bytes::Bytes;

/// Any AMQP value (section 1.6).
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the variants are the standard's types by their own names")]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Ubyte(u8),
    Ushort(u16),
    Uint(u32),
    Ulong(u64),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// IEEE 754-2008 decimals as they are on the wire: nothing here computes with them.
    Decimal32([u8; 4]),
    Decimal64([u8; 8]),
    Decimal128([u8; 16]),
    Char(char),
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    Uuid([u8; 16]),
    Binary(Bytes),
    String(String),
    Symbol(Symbol),
    List(Vec<Value>),
    Map(Map),
    Array(Array),
    Described(Box<Described>),
}

/// A value with a descriptor that says what it means (section 1.2).
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// Usually a ulong or a symbol.
    pub descriptor: Value,
    /// What is described.
    pub value: Value,
}

/// A name from a limited set (section 1.6.21): ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Symbol(String);

impl Symbol {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None` unless the text is ASCII.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        text.is_ascii().then_some(Self(text))
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}", self.0)
    }
}

impl From<&str> for Symbol {
    /// What is not ASCII becomes `?`.
    fn from(text: &str) -> Self {
        Self(text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect())
    }
}

impl PartialEq<str> for Symbol {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Symbol {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// Values of one type (section 1.6.24). Only decoding and the constructors here make one, so its elements always agree.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Array(pub(crate) Vec<Value>);

impl Array {
    /// An array of symbols.
    pub fn symbols(symbols: impl IntoIterator<Item = Symbol>) -> Self {
        Self(symbols.into_iter().map(Value::Symbol).collect())
    }

    /// Its elements.
    pub fn elements(&self) -> &[Value] {
        &self.0
    }
}

/// Keys and values in order (section 1.6.23). A key that is repeated, which the standard forbids, is found by its first occurrence.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Map(pub(crate) Vec<(Value, Value)>);

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under a text, be it a string or a symbol: clients disagree on which they use.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(candidate, _)| candidate.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The text under a text.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// Adds an entry.
    pub fn push(&mut self, key: impl Into<Value>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// Adds an entry; for building a map in one expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<Value>, value: impl Into<Value>) -> Self {
        self.push(key, value);
        self
    }

    /// Its entries.
    pub fn entries(&self) -> &[(Value, Value)] {
        &self.0
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Value {
    /// The text of a string or a symbol.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Symbol(symbol) => Some(symbol.as_str()),
            _ => None,
        }
    }

    /// The number in any integer type, where it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(n) => Some(n.into()),
            Self::Ushort(n) => Some(n.into()),
            Self::Uint(n) => Some(n.into()),
            Self::Ulong(n) => n.try_into().ok(),
            Self::Byte(n) => Some(n.into()),
            Self::Short(n) => Some(n.into()),
            Self::Int(n) => Some(n.into()),
            Self::Long(n) => Some(n),
            _ => None,
        }
    }

    /// A described value.
    pub fn described(descriptor: u64, value: Self) -> Self {
        Self::Described(Box::new(Described { descriptor: Self::Ulong(descriptor), value }))
    }

    /// The numeric descriptor and the value it describes.
    pub(crate) fn into_described(self) -> Option<(u64, Self)> {
        match self {
            Self::Described(described) => match described.descriptor {
                Self::Ulong(descriptor) => Some((descriptor, described.value)),
                _ => None,
            },
            _ => None,
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }
    )+};
}

from! {
    bool => Boolean, u8 => Ubyte, u16 => Ushort, u32 => Uint, u64 => Ulong, i8 => Byte, i16 => Short, i32 => Int, i64 => Long,
    f32 => Float, f64 => Double, Bytes => Binary, String => String, Symbol => Symbol, Map => Map, Array => Array,
    Vec<Value> => List,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Bytes that must not be seen in logs: what SASL carries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(pub Bytes);

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl<T: Into<Bytes>> From<T> for SecretBytes {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}
