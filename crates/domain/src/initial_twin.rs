//! Reading an initial twin: an enrollment's, or one that an allocation webhook answers with.

use crate::{
    ErrorCode, ServiceError,
    document::InitialTwinDocument,
    hub_device::InitialTwin,
    limits::{TWIN_BYTES_MAX, TWIN_LEVELS_MAX},
};
use serde_json::{Map, Value};

/// Members that twin collections carry when a tool sends back what it read (azure-rest-api-specs: TwinCollection; .NET writes them
/// with a dollar sign). They describe a section and are not part of it.
const DESCRIPTIVE: [&str; 3] = ["$version", "$metadata", "metadata"];

/// Reads an initial twin; sections may be missing or empty.
///
/// # Errors
/// [`ErrorCode::InvalidBody`] where it is larger than [`TWIN_BYTES_MAX`] or nested deeper than [`TWIN_LEVELS_MAX`].
pub fn read(document: &InitialTwinDocument) -> Result<InitialTwin, ServiceError> {
    let desired = document.properties.as_ref().and_then(|properties| properties.desired.clone());
    let twin = InitialTwin { tags: section(document.tags.clone()), desired: section(desired) };
    let bytes = serde_json::to_vec(&twin).map_or(usize::MAX, |json| json.len());
    if bytes > TWIN_BYTES_MAX {
        let why = format!("The initial twin has {bytes} bytes of JSON, at most {TWIN_BYTES_MAX} are taken.");
        return Err(ServiceError::with(ErrorCode::InvalidBody, why));
    }
    if levels(&twin.tags).max(levels(&twin.desired)) > TWIN_LEVELS_MAX {
        let why = format!("The initial twin is nested deeper than {TWIN_LEVELS_MAX} levels, which no hub takes.");
        return Err(ServiceError::with(ErrorCode::InvalidBody, why));
    }
    Ok(twin)
}

/// How deep a section nests, itself included; serde_json bounds it (128).
fn levels(section: &Map<String, Value>) -> usize {
    fn below(value: &Value) -> usize {
        match value {
            Value::Object(members) => levels(members),
            Value::Array(items) => 1 + items.iter().map(below).max().unwrap_or_default(),
            _ => 0,
        }
    }
    1 + section.values().map(below).max().unwrap_or_default()
}

fn section(section: Option<Map<String, Value>>) -> Map<String, Value> {
    let mut section = section.unwrap_or_default();
    section.retain(|name, value| !(DESCRIPTIVE.contains(&name.as_str()) && (name.starts_with('$') || is_metadata(value))));
    section
}

/// Whether a member named `metadata` is the collection's own and not the operator's.
fn is_metadata(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.keys().any(|name| name == "lastUpdated" || name == "$lastUpdated"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn twin(json: Value) -> Result<InitialTwin, ServiceError> {
        read(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn empty_sections_are_an_empty_twin() {
        let read = twin(serde_json::json!({"tags": {}, "properties": {"desired": {}}})).unwrap();
        assert_eq!(read, InitialTwin::default());
    }

    #[test]
    fn descriptions_are_dropped_and_the_operators_own_members_kept() {
        let read = twin(serde_json::json!({"tags": {"$version": 1, "metadata": {"lastUpdated": "x"}, "site": "a"},
            "properties": {"desired": {"metadata": {"mine": 1}, "version": 3}}}));
        let read = read.unwrap();
        assert_eq!(read.tags.keys().collect::<Vec<_>>(), ["site"]);
        assert_eq!(read.desired.len(), 2);
    }

    #[test]
    fn a_huge_twin_is_refused() {
        let error = twin(serde_json::json!({"tags": {"a": "x".repeat(TWIN_BYTES_MAX)}})).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidBody);
    }
}
