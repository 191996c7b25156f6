//! What a twin may hold (MicrosoftDocs/azure-docs: articles/iot-hub/iot-hub-devguide-device-twins.md, "Tags and properties format"
//! and "Device twin size").

use serde_json::{Map, Value};

use crate::Fault;

/// Largest tags, desired or reported section each, in bytes of JSON.
pub const SECTION_BYTES_MAX: usize = 32 * 1024;
/// Deepest nesting of objects in a section.
pub const DEPTH_MAX: usize = 10;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// Longest string value, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;
/// Integers must not lie below this.
pub const INTEGER_MIN: i64 = -4_503_599_627_370_496;
/// Integers must not lie above this.
pub const INTEGER_MAX: i64 = 4_503_599_627_370_495;

/// Checks what came from outside, before it is merged: keys, values and depth.
pub fn check_incoming(section: &str, values: &Map<String, Value>) -> Result<(), Fault> {
    check_object(section, values, 1)
}

/// Checks a section's size once it is merged.
pub fn check_size(section: &str, values: &Map<String, Value>) -> Result<(), Fault> {
    let bytes = serde_json::to_vec(values).map(|text| text.len()).unwrap_or(usize::MAX);
    if bytes > SECTION_BYTES_MAX {
        return Err(Fault::invalid(format!("{section} would have {bytes} bytes: the limit is {SECTION_BYTES_MAX}.")));
    }
    Ok(())
}

fn check_object(section: &str, values: &Map<String, Value>, depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::invalid(format!("{section} is nested deeper than {DEPTH_MAX} levels.")));
    }
    values.iter().try_for_each(|(key, value)| {
        check_key(section, key)?;
        check_value(section, key, value, depth)
    })
}

fn check_key(section: &str, key: &str) -> Result<(), Fault> {
    let forbidden = |c: char| c.is_control() || matches!(c, '.' | '$' | ' ');
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains(forbidden) {
        return Err(Fault::invalid(format!("{section} has a key that is empty, too long or holds . $ space or a control character.")));
    }
    Ok(())
}

fn check_value(section: &str, key: &str, value: &Value, depth: usize) -> Result<(), Fault> {
    match value {
        Value::Object(inner) => check_object(section, inner, depth.saturating_add(1)),
        Value::Array(items) if depth < DEPTH_MAX => {
            items.iter().try_for_each(|item| check_value(section, key, item, depth.saturating_add(1)))
        }
        Value::Array(_) => Err(Fault::invalid(format!("{section} is nested deeper than {DEPTH_MAX} levels."))),
        Value::String(text) if text.len() > TEXT_BYTES_MAX => {
            Err(Fault::invalid(format!("{section}: the text under {key} is longer than {TEXT_BYTES_MAX} bytes.")))
        }
        Value::Number(number) if !number.is_f64() && !number.as_i64().is_some_and(|n| (INTEGER_MIN..=INTEGER_MAX).contains(&n)) => {
            Err(Fault::invalid(format!("{section}: the integer under {key} is outside {INTEGER_MIN} to {INTEGER_MAX}.")))
        }
        _ => Ok(()),
    }
}
