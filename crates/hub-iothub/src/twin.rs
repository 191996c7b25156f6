//! A twin as the hub tells it, and the body that replaces one.

use serde_json::{Map, Value, json};
use usher_domain::hub_device::InitialTwin;

/// The ETag of a twin that the service has never changed: ETags of twins are counters in base64 (docs/protocol/hub-service.md).
const ETAG_FIRST: &str = "AAAAAAAAAAE=";

/// A twin that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    /// Tags and desired properties.
    pub settings: InitialTwin,
    /// Unquoted.
    pub etag: String,
    desired_version: u64,
}

impl Twin {
    /// Reads the body of `GET /twins/{id}`.
    pub fn read(body: &Value) -> Self {
        let object = |pointer: &str| body.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default();
        let mut desired = object("/properties/desired");
        let desired_version = desired.get("$version").and_then(Value::as_u64).unwrap_or(0);
        desired.remove("$version");
        desired.remove("$metadata");
        let etag = body.get("etag").and_then(Value::as_str).unwrap_or_default().trim_matches('"').to_owned();
        Self { settings: InitialTwin { tags: object("/tags"), desired }, etag, desired_version }
    }

    /// Whether it is empty and nobody has ever written to it. An emptied twin is not: its ETag tells that it was changed.
    pub fn is_untouched(&self) -> bool {
        crate::identity::is_empty(&self.settings) && self.etag == ETAG_FIRST && self.desired_version <= 1
    }
}

/// A twin without its nulls, which mean "nothing there" in a document that makes or replaces one, and which hubs refuse.
pub fn without_nulls(twin: &InitialTwin) -> InitialTwin {
    InitialTwin { tags: kept(&twin.tags), desired: kept(&twin.desired) }
}

fn kept(values: &Map<String, Value>) -> Map<String, Value> {
    let kept = values.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| match value {
        Value::Object(inner) => (key.clone(), Value::Object(kept(inner))),
        other => (key.clone(), other.clone()),
    });
    kept.collect()
}

/// The body of a PUT that puts `twin` in place of what is there.
pub fn replace_body(twin: &InitialTwin) -> Value {
    let tags: &Map<String, Value> = &twin.tags;
    json!({ "tags": tags, "properties": { "desired": twin.desired } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_own_members_are_not_settings() {
        let twin = Twin::read(&json!({"etag": "AAAAAAAAAAM=", "tags": {"site": "a"}, "properties": {
            "desired": {"rate": 5, "$version": 3, "$metadata": {}}, "reported": {"fw": 1, "$version": 9}}}));
        assert_eq!(replace_body(&twin.settings), json!({"tags": {"site": "a"}, "properties": {"desired": {"rate": 5}}}));
    }

    #[test]
    fn nulls_are_left_out_at_any_depth() {
        let tags = Map::from_iter([("a".to_owned(), Value::Null), ("b".to_owned(), json!({"c": null, "d": [null, 1]}))]);
        let kept = without_nulls(&InitialTwin { tags, desired: Map::new() });
        assert_eq!(Value::Object(kept.tags), json!({"b": {"d": [null, 1]}}));
    }

    #[test]
    fn only_a_twin_that_nobody_wrote_to_is_untouched() {
        let twin = |etag: &str, version: u64, tags: Value| {
            Twin::read(&json!({"etag": etag, "tags": tags, "properties": {"desired": {"$version": version}}})).is_untouched()
        };
        assert!(twin(ETAG_FIRST, 1, json!({})));
        assert!(!twin("AAAAAAAAAAI=", 1, json!({})), "tags were set and removed");
        assert!(!twin(ETAG_FIRST, 2, json!({})));
        assert!(!twin(ETAG_FIRST, 1, json!({"a": 1})));
    }
}
