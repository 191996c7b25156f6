//! JSON in pure ASCII: everything else as `\uXXXX`.
//!
//! The Node SDK decodes MQTT payloads as ASCII and would garble other bytes (azure-iot-sdk-node:
//! provisioning/transport/mqtt/src/mqtt.ts); the escapes are the same JSON to every other client.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Serialises `value`; an unserialisable value gives `{}`, which no document type here can cause.
pub fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let mut serializer = Serializer::with_formatter(&mut out, Ascii(CompactFormatter));
    match value.serialize(&mut serializer) {
        Ok(()) => out,
        Err(_) => b"{}".to_vec(),
    }
}

struct Ascii(CompactFormatter);

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return self.0.write_string_fragment(writer, fragment);
        }
        let mut units = [0_u16; 2];
        for c in fragment.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn other_scripts_survive_as_escapes() {
        let value = serde_json::json!({"k": "aé😀\n"});
        let out = super::to_vec(&value);
        assert_eq!(out, br#"{"k":"a\u00e9\ud83d\ude00\n"}"#);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), value);
    }
}
