//! Bytes to values. Strings are copied, binaries are slices of what arrived.

use bytes::{Buf, Bytes};

use super::{
    DEPTH_MAX, DecodeError, VALUES_MAX, code,
    types::{Array, Described, Map, Symbol, Value},
};

type Result<T> = std::result::Result<T, DecodeError>;

/// The standard's longest symbolic descriptor has 35 bytes.
const DESCRIPTOR_BYTES_MAX: usize = 128;

/// Decodes one value that fills the bytes.
pub fn decode_value(bytes: Bytes) -> Result<Value> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    if reader.is_empty() { Ok(value) } else { Err(DecodeError::TrailingBytes) }
}

/// Reads values one after the other, within [`VALUES_MAX`] in all.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
    values_left: usize,
}

/// How the next bytes are to be read: a format code, perhaps with a descriptor before it (section 1.2).
struct Constructor {
    descriptors: Vec<Value>,
    code: u8,
}

impl Reader {
    /// A reader of these bytes.
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, values_left: VALUES_MAX }
    }

    /// Whether everything is read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is not read yet.
    pub fn into_rest(self) -> Bytes {
        self.rest
    }

    /// Reads the next value.
    pub fn value(&mut self) -> Result<Value> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Value> {
        self.charge(1)?;
        let constructor = self.constructor(depth)?;
        self.constructed(&constructor, depth)
    }

    fn charge(&mut self, values: usize) -> Result<()> {
        self.values_left = self.values_left.checked_sub(values).ok_or(DecodeError::TooMany)?;
        Ok(())
    }

    /// A described value may itself be described; each descriptor counts as a level.
    fn constructor(&mut self, depth: usize) -> Result<Constructor> {
        let mut descriptors = Vec::new();
        loop {
            let code = self.byte()?;
            if code != code::DESCRIBED {
                return Ok(Constructor { descriptors, code });
            }
            let level = depth.saturating_add(descriptors.len()).saturating_add(1);
            if level > DEPTH_MAX {
                return Err(DecodeError::Depth);
            }
            descriptors.push(self.descriptor(level)?);
        }
    }

    /// A number or a name (section 1.2 reserves the rest). Its size is bounded because an array's elements each carry a copy.
    fn descriptor(&mut self, depth: usize) -> Result<Value> {
        match self.nested(depth)? {
            Value::Symbol(name) if name.as_str().len() > DESCRIPTOR_BYTES_MAX => Err(DecodeError::Descriptor),
            descriptor @ (Value::Ulong(_) | Value::Symbol(_)) => Ok(descriptor),
            _ => Err(DecodeError::Descriptor),
        }
    }

    fn constructed(&mut self, constructor: &Constructor, depth: usize) -> Result<Value> {
        let value = self.body(constructor.code, depth.saturating_add(constructor.descriptors.len()))?;
        Ok(constructor
            .descriptors
            .iter()
            .rev()
            .fold(value, |value, descriptor| Value::Described(Box::new(Described { descriptor: descriptor.clone(), value }))))
    }

    fn body(&mut self, code: u8, depth: usize) -> Result<Value> {
        Ok(match code {
            code::NULL => Value::Null,
            code::TRUE => Value::Boolean(true),
            code::FALSE => Value::Boolean(false),
            code::BOOLEAN => match self.byte()? {
                0 => Value::Boolean(false),
                1 => Value::Boolean(true),
                other => return Err(DecodeError::FormatCode(other)),
            },
            code::UINT0 => Value::Uint(0),
            code::ULONG0 => Value::Ulong(0),
            code::UBYTE => Value::Ubyte(self.byte()?),
            code::BYTE => Value::Byte(i8::from_be_bytes(self.fixed()?)),
            code::SMALL_UINT => Value::Uint(self.byte()?.into()),
            code::SMALL_ULONG => Value::Ulong(self.byte()?.into()),
            code::SMALL_INT => Value::Int(i8::from_be_bytes(self.fixed()?).into()),
            code::SMALL_LONG => Value::Long(i8::from_be_bytes(self.fixed()?).into()),
            code::USHORT => Value::Ushort(u16::from_be_bytes(self.fixed()?)),
            code::SHORT => Value::Short(i16::from_be_bytes(self.fixed()?)),
            code::UINT => Value::Uint(u32::from_be_bytes(self.fixed()?)),
            code::INT => Value::Int(i32::from_be_bytes(self.fixed()?)),
            code::FLOAT => Value::Float(f32::from_be_bytes(self.fixed()?)),
            code::CHAR => Value::Char(char::from_u32(u32::from_be_bytes(self.fixed()?)).ok_or(DecodeError::Text)?),
            code::DECIMAL32 => Value::Decimal32(self.fixed()?),
            code::ULONG => Value::Ulong(u64::from_be_bytes(self.fixed()?)),
            code::LONG => Value::Long(i64::from_be_bytes(self.fixed()?)),
            code::DOUBLE => Value::Double(f64::from_be_bytes(self.fixed()?)),
            code::TIMESTAMP => Value::Timestamp(i64::from_be_bytes(self.fixed()?)),
            code::DECIMAL64 => Value::Decimal64(self.fixed()?),
            code::DECIMAL128 => Value::Decimal128(self.fixed()?),
            code::UUID => Value::Uuid(self.fixed()?),
            code::BINARY8 | code::BINARY32 => Value::Binary(self.variable(code)?),
            code::STRING8 | code::STRING32 => Value::String(text(&self.variable(code)?)?),
            code::SYMBOL8 | code::SYMBOL32 => Value::Symbol(Symbol::new(text(&self.variable(code)?)?).ok_or(DecodeError::Text)?),
            _ => return self.compound(code, depth),
        })
    }

    fn compound(&mut self, code: u8, depth: usize) -> Result<Value> {
        if code == code::LIST0 {
            return Ok(Value::List(Vec::new()));
        }
        if !matches!(code, code::LIST8 | code::LIST32 | code::MAP8 | code::MAP32 | code::ARRAY8 | code::ARRAY32) {
            return Err(DecodeError::FormatCode(code));
        }
        let depth = depth.saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(DecodeError::Depth);
        }
        let body = self.variable(code)?;
        let mut inner = Self { rest: body, values_left: self.values_left };
        let count = inner.length(code)?;
        let value = match code {
            code::LIST8 | code::LIST32 => Value::List(inner.list(count, depth)?),
            code::MAP8 | code::MAP32 => Value::Map(inner.map(count, depth)?),
            _ => Value::Array(inner.array(count, depth)?),
        };
        if !inner.is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        self.values_left = inner.values_left;
        Ok(value)
    }

    fn list(&mut self, count: usize, depth: usize) -> Result<Vec<Value>> {
        // Every element has at least its format code.
        if count > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        (0..count).map(|_| self.nested(depth)).collect()
    }

    fn map(&mut self, count: usize, depth: usize) -> Result<Map> {
        if !count.is_multiple_of(2) {
            return Err(DecodeError::OddMap);
        }
        if count > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        (0..count / 2).map(|_| Ok((self.nested(depth)?, self.nested(depth)?))).collect::<Result<_>>().map(Map)
    }

    /// Elements may have no bytes at all, so the count is charged before anything is made of it.
    fn array(&mut self, count: usize, depth: usize) -> Result<Array> {
        self.charge(count)?;
        let constructor = self.constructor(depth)?;
        // Descriptors are copied into each element.
        self.charge(constructor.descriptors.len().saturating_mul(count))?;
        (0..count).map(|_| self.constructed(&constructor, depth)).collect::<Result<_>>().map(Array)
    }

    /// A length or count: one byte or four, by the format code's width (section 1.2: 0xA., 0xC. and 0xE. are the narrow ones).
    fn length(&mut self, code: u8) -> Result<usize> {
        if matches!(code & 0xf0, 0xa0 | 0xc0 | 0xe0) {
            Ok(self.byte()?.into())
        } else {
            usize::try_from(u32::from_be_bytes(self.fixed()?)).map_err(|_| DecodeError::Truncated)
        }
    }

    fn variable(&mut self, code: u8) -> Result<Bytes> {
        let length = self.length(code)?;
        if length > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        Ok(self.rest.split_to(length))
    }

    fn byte(&mut self) -> Result<u8> {
        let [byte] = self.fixed()?;
        Ok(byte)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = *self.rest.first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest.advance(N);
        Ok(bytes)
    }
}

fn text(bytes: &Bytes) -> Result<String> {
    std::str::from_utf8(bytes).map(Into::into).map_err(|_| DecodeError::Text)
}
