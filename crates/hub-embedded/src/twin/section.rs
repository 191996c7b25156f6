//! A versioned part of a twin, desired or reported: values, and for every leaf and branch when it was last written.
//!
//! A patch merges objects, replaces everything else and deletes where it says `null` (RFC 7396, which IoT Hub's twins follow).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use usher_domain::Timestamp;

/// A versioned section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    #[serde(rename = "x")]
    values: Map<String, Value>,
    #[serde(rename = "s")]
    stamp: Stamp,
    #[serde(rename = "n")]
    version: u64,
}

/// When something was last written. Short names: a twin of many small leaves is mostly stamps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stamp {
    #[serde(rename = "t")]
    at_micros: i64,
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    children: BTreeMap<String, Stamp>,
}

/// Whether metadata tells `$lastUpdatedVersion`: IoT Hub does so for desired properties only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMetadata {
    /// Desired.
    Told,
    /// Reported.
    Omitted,
}

impl Section {
    /// A section at version 1.
    pub fn new(values: Map<String, Value>, now: Timestamp) -> Self {
        let values = without_nulls(values);
        let stamp = Stamp::of(&values, now, 1);
        Self { values, stamp, version: 1 }
    }

    /// Its values, without metadata.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Its version, 1 or more.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Merges a patch; the version goes up by one.
    pub fn patch(&mut self, patch: Map<String, Value>, now: Timestamp) {
        self.version = self.version.saturating_add(1);
        merge(&mut self.values, &mut self.stamp, patch, now, self.version);
    }

    /// Puts new values in place of all; the version goes up by one. Returns the patch that brings a holder of the old values to the
    /// new ones.
    pub fn replace(&mut self, values: Map<String, Value>, now: Timestamp) -> Map<String, Value> {
        self.version = self.version.saturating_add(1);
        let values = without_nulls(values);
        let patch = difference(&self.values, &values);
        self.stamp = Stamp::of(&values, now, self.version);
        self.values = values;
        patch
    }

    /// Values with `$metadata` and `$version`, as the service sees them.
    pub fn document(&self, told: VersionMetadata) -> Value {
        let mut document = self.values.clone();
        document.insert("$metadata".into(), Value::Object(self.stamp.metadata(told)));
        document.insert("$version".into(), self.version.into());
        Value::Object(document)
    }

    /// Values with `$version`, as the device sees them.
    pub fn device_document(&self) -> Value {
        let mut document = self.values.clone();
        document.insert("$version".into(), self.version.into());
        Value::Object(document)
    }
}

impl Stamp {
    fn leaf(now: Timestamp, version: u64) -> Self {
        Self { at_micros: now.micros(), version, children: BTreeMap::new() }
    }

    fn of(values: &Map<String, Value>, now: Timestamp, version: u64) -> Self {
        let child = |value: &Value| match value {
            Value::Object(inner) => Self::of(inner, now, version),
            _ => Self::leaf(now, version),
        };
        let children = values.iter().map(|(key, value)| (key.clone(), child(value))).collect();
        Self { children, ..Self::leaf(now, version) }
    }

    fn metadata(&self, told: VersionMetadata) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("$lastUpdated".into(), json!(Timestamp::from_micros(self.at_micros)));
        if told == VersionMetadata::Told {
            map.insert("$lastUpdatedVersion".into(), self.version.into());
        }
        map.extend(self.children.iter().map(|(key, child)| (key.clone(), Value::Object(child.metadata(told)))));
        map
    }
}

fn merge(values: &mut Map<String, Value>, stamp: &mut Stamp, patch: Map<String, Value>, now: Timestamp, version: u64) {
    stamp.at_micros = now.micros();
    stamp.version = version;
    for (key, change) in patch {
        match change {
            Value::Null => {
                values.remove(&key);
                stamp.children.remove(&key);
            }
            Value::Object(change) => merge_object(values, stamp, key, change, now, version),
            change => {
                stamp.children.insert(key.clone(), Stamp::leaf(now, version));
                values.insert(key, change);
            }
        }
    }
}

fn merge_object(values: &mut Map<String, Value>, stamp: &mut Stamp, key: String, change: Map<String, Value>, now: Timestamp, version: u64) {
    let child = stamp.children.entry(key.clone()).or_insert_with(|| Stamp::leaf(now, version));
    if let Some(Value::Object(inner)) = values.get_mut(&key) {
        merge(inner, child, change, now, version);
    } else {
        let change = without_nulls(change);
        *child = Stamp::of(&change, now, version);
        values.insert(key, Value::Object(change));
    }
}

/// An unversioned, unstamped merge, for tags.
pub fn merge_plain(values: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, change) in patch {
        match (change, values.get_mut(&key)) {
            (Value::Null, _) => {
                values.remove(&key);
            }
            (Value::Object(change), Some(Value::Object(inner))) => merge_plain(inner, change),
            (Value::Object(change), _) => {
                values.insert(key, Value::Object(without_nulls(change)));
            }
            (change, _) => {
                values.insert(key, change);
            }
        }
    }
}

/// Nulls delete, so nothing that is kept holds one.
pub fn without_nulls(values: Map<String, Value>) -> Map<String, Value> {
    let keep = |(key, value): (String, Value)| match value {
        Value::Null => None,
        Value::Object(inner) => Some((key, Value::Object(without_nulls(inner)))),
        value => Some((key, value)),
    };
    values.into_iter().filter_map(keep).collect()
}

fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let kept = new.iter().map(|(key, value)| match (old.get(key), value) {
        (Some(Value::Object(before)), Value::Object(after)) => (key.clone(), Value::Object(difference(before, after))),
        _ => (key.clone(), value.clone()),
    });
    gone.chain(kept).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000);
    const T1: Timestamp = Timestamp::from_secs(2_000);

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_patch_merges_objects_replaces_leaves_and_deletes_nulls() {
        let mut section = Section::new(object(json!({"a": {"b": 1, "c": 2}, "d": [1], "e": "x"})), T0);
        section.patch(object(json!({"a": {"b": 5, "c": null}, "d": {"f": {"g": null, "h": 1}}, "e": null})), T1);
        assert_eq!(Value::Object(section.values().clone()), json!({"a": {"b": 5}, "d": {"f": {"h": 1}}}));
        assert_eq!(section.version(), 2);
    }

    #[test]
    fn metadata_tells_for_every_leaf_when_it_was_written() {
        let mut section = Section::new(object(json!({"a": {"b": 1, "c": 2}, "d": 1})), T0);
        section.patch(object(json!({"a": {"b": 9}})), T1);
        let document = section.document(VersionMetadata::Told);
        let (old, new) = (json!(T0), json!(T1));
        assert_eq!(document["$version"], 2);
        assert_eq!(document["$metadata"]["$lastUpdated"], new);
        assert_eq!(document["$metadata"]["a"]["$lastUpdated"], new);
        assert_eq!(document["$metadata"]["a"]["b"]["$lastUpdatedVersion"], 2);
        assert_eq!(document["$metadata"]["a"]["c"]["$lastUpdated"], old);
        assert_eq!(document["$metadata"]["d"]["$lastUpdatedVersion"], 1);
        assert!(section.document(VersionMetadata::Omitted)["$metadata"]["d"].get("$lastUpdatedVersion").is_none());
    }

    #[test]
    fn a_replacement_tells_the_device_what_went_away() {
        let mut section = Section::new(object(json!({"a": {"b": 1, "c": 2}, "d": 1})), T0);
        let patch = section.replace(object(json!({"a": {"b": 1}, "n": null, "z": 3})), T1);
        assert_eq!(Value::Object(patch), json!({"a": {"b": 1, "c": null}, "d": null, "z": 3}));
        assert_eq!(Value::Object(section.values().clone()), json!({"a": {"b": 1}, "z": 3}));
    }

    #[test]
    fn a_section_survives_its_record() {
        let mut section = Section::new(object(json!({"a": {"b": 1}})), T0);
        section.patch(object(json!({"k": true})), T1);
        let text = serde_json::to_vec(&section).unwrap();
        assert_eq!(serde_json::from_slice::<Section>(&text).unwrap(), section);
    }
}
