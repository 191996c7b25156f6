//! Values to bytes: the short form for scalars, the 32-bit form for everything that has elements.

use bytes::{BufMut, BytesMut};

use super::{
    code,
    types::{Array, Value},
};

/// Appends a value.
///
/// A length that does not fit its 32-bit field cannot occur: it would need 4 GiB of values, and every caller is bounded far below.
pub fn encode_value(value: &Value, out: &mut BytesMut) {
    if let Value::Described(described) = value {
        out.put_u8(code::DESCRIBED);
        encode_value(&described.descriptor, out);
        return encode_value(&described.value, out);
    }
    let code = short_code(value);
    out.put_u8(code);
    put_body(code, value, out);
}

/// The shortest format code that holds this value.
fn short_code(value: &Value) -> u8 {
    match value {
        Value::Boolean(true) => code::TRUE,
        Value::Boolean(false) => code::FALSE,
        Value::Uint(0) => code::UINT0,
        Value::Uint(1..=0xff) => code::SMALL_UINT,
        Value::Ulong(0) => code::ULONG0,
        Value::Ulong(1..=0xff) => code::SMALL_ULONG,
        Value::Int(-128..=127) => code::SMALL_INT,
        Value::Long(-128..=127) => code::SMALL_LONG,
        Value::Binary(bytes) if bytes.len() <= 0xff => code::BINARY8,
        Value::String(text) if text.len() <= 0xff => code::STRING8,
        Value::Symbol(symbol) if symbol.as_str().len() <= 0xff => code::SYMBOL8,
        Value::List(list) if list.is_empty() => code::LIST0,
        other => wide_code(other),
    }
}

/// The format code that holds any value of this value's type; what an array's elements share.
fn wide_code(value: &Value) -> u8 {
    match value {
        Value::Null => code::NULL,
        Value::Boolean(_) => code::BOOLEAN,
        Value::Ubyte(_) => code::UBYTE,
        Value::Ushort(_) => code::USHORT,
        Value::Uint(_) => code::UINT,
        Value::Ulong(_) => code::ULONG,
        Value::Byte(_) => code::BYTE,
        Value::Short(_) => code::SHORT,
        Value::Int(_) => code::INT,
        Value::Long(_) => code::LONG,
        Value::Float(_) => code::FLOAT,
        Value::Double(_) => code::DOUBLE,
        Value::Decimal32(_) => code::DECIMAL32,
        Value::Decimal64(_) => code::DECIMAL64,
        Value::Decimal128(_) => code::DECIMAL128,
        Value::Char(_) => code::CHAR,
        Value::Timestamp(_) => code::TIMESTAMP,
        Value::Uuid(_) => code::UUID,
        Value::Binary(_) => code::BINARY32,
        Value::String(_) => code::STRING32,
        Value::Symbol(_) => code::SYMBOL32,
        Value::List(_) => code::LIST32,
        Value::Map(_) => code::MAP32,
        Value::Array(_) => code::ARRAY32,
        Value::Described(described) => wide_code(&described.value),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the code was chosen by the value, see short_code")]
#[expect(clippy::cast_sign_loss, reason = "two's complement is what goes on the wire")]
fn put_body(code: u8, value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => {}
        Value::Boolean(b) if code == code::BOOLEAN => out.put_u8((*b).into()),
        Value::Boolean(_) => {}
        Value::Ubyte(n) => out.put_u8(*n),
        Value::Ushort(n) => out.put_u16(*n),
        Value::Uint(n) => match code {
            code::UINT0 => {}
            code::SMALL_UINT => out.put_u8(*n as u8),
            _ => out.put_u32(*n),
        },
        Value::Ulong(n) => match code {
            code::ULONG0 => {}
            code::SMALL_ULONG => out.put_u8(*n as u8),
            _ => out.put_u64(*n),
        },
        Value::Byte(n) => out.put_i8(*n),
        Value::Short(n) => out.put_i16(*n),
        Value::Int(n) if code == code::SMALL_INT => out.put_u8(*n as u8),
        Value::Int(n) => out.put_i32(*n),
        Value::Long(n) if code == code::SMALL_LONG => out.put_u8(*n as u8),
        Value::Long(n) | Value::Timestamp(n) => out.put_i64(*n),
        Value::Float(n) => out.put_f32(*n),
        Value::Double(n) => out.put_f64(*n),
        Value::Decimal32(bytes) => out.put_slice(bytes),
        Value::Decimal64(bytes) => out.put_slice(bytes),
        Value::Decimal128(bytes) | Value::Uuid(bytes) => out.put_slice(bytes),
        Value::Char(c) => out.put_u32((*c).into()),
        Value::Binary(bytes) => put_variable(code, bytes, out),
        Value::String(text) => put_variable(code, text.as_bytes(), out),
        Value::Symbol(symbol) => put_variable(code, symbol.as_str().as_bytes(), out),
        Value::List(_) if code == code::LIST0 => {}
        Value::List(list) => put_sized(out, |out| {
            put_length(list.len(), out);
            list.iter().for_each(|value| encode_value(value, out));
        }),
        Value::Map(map) => put_sized(out, |out| {
            put_length(map.0.len().saturating_mul(2), out);
            for (key, value) in &map.0 {
                encode_value(key, out);
                encode_value(value, out);
            }
        }),
        Value::Array(array) => put_sized(out, |out| put_array(array, out)),
        Value::Described(described) => put_body(code, &described.value, out),
    }
}

fn put_array(array: &Array, out: &mut BytesMut) {
    put_length(array.0.len(), out);
    let Some(first) = array.0.first() else {
        return out.put_u8(code::NULL);
    };
    let mut described = first;
    while let Value::Described(inner) = described {
        out.put_u8(code::DESCRIBED);
        encode_value(&inner.descriptor, out);
        described = &inner.value;
    }
    let code = wide_code(first);
    out.put_u8(code);
    array.0.iter().for_each(|value| put_body(code, value, out));
}

#[expect(clippy::cast_possible_truncation, reason = "the narrow code is chosen for lengths up to 255 only")]
fn put_variable(code: u8, bytes: &[u8], out: &mut BytesMut) {
    if code & 0xf0 == 0xa0 {
        out.put_u8(bytes.len() as u8);
    } else {
        put_length(bytes.len(), out);
    }
    out.put_slice(bytes);
}

fn put_length(length: usize, out: &mut BytesMut) {
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Writes what `body` writes, behind its size in four bytes.
fn put_sized(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let size = out.len().saturating_sub(start).saturating_sub(4);
    if let Some(field) = out.get_mut(start..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *field = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    }
}
