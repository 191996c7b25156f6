//! A device's twin: tags, desired and reported properties, and the rules by which each side changes them.
//!
//! `version` counts every change. `etag` counts only what the service changes (tags, desired), so that a chatty device does not
//! make every conditional write of the service fail.

mod rules;
mod section;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use usher_domain::{Timestamp, hub_device::InitialTwin};

pub use rules::{DEPTH_MAX, INTEGER_MAX, INTEGER_MIN, KEY_BYTES_MAX, SECTION_BYTES_MAX, TEXT_BYTES_MAX};
pub use section::{Section, VersionMetadata};

use crate::{Fault, etag};

/// A twin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Twin {
    tags: Map<String, Value>,
    desired: Section,
    reported: Section,
    version: u64,
    revision: u64,
}

/// What the service asks of a twin: parts that are absent stay as they are in a patch and are cleared in a replacement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwinChange {
    /// Seen by the service only.
    pub tags: Option<Map<String, Value>>,
    /// Seen by the device.
    pub desired: Option<Map<String, Value>>,
}

/// A change of desired properties, to be told to a connected device.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredPatch {
    /// The version it leads to.
    pub version: u64,
    /// The patch, without `$version`.
    pub patch: Map<String, Value>,
}

impl DesiredPatch {
    /// The JSON sent to the device: the patch with `$version`.
    pub fn document(&self) -> Value {
        let mut document = self.patch.clone();
        document.insert("$version".into(), self.version.into());
        Value::Object(document)
    }
}

impl TwinChange {
    /// Reads the body of a twin PATCH or PUT; members other than `tags` and `properties.desired` are the hub's to tell and pass
    /// unread, as SDKs send a whole twin back.
    pub fn parse(body: &Value) -> Result<Self, Fault> {
        let body = body.as_object().ok_or_else(|| Fault::invalid("A twin must be a JSON object."))?;
        let tags = section_of(body.get("tags"), "tags")?;
        let properties = section_of(body.get("properties"), "properties")?;
        let desired = section_of(properties.as_ref().and_then(|map| map.get("desired")), "properties.desired")?;
        let change = Self { tags: tags.map(without_service_members), desired: desired.map(without_service_members) };
        if let Some(tags) = &change.tags {
            rules::check_incoming("tags", tags)?;
        }
        if let Some(desired) = &change.desired {
            rules::check_incoming("properties.desired", desired)?;
        }
        Ok(change)
    }

    /// An initial twin as a change.
    pub fn initial(twin: &InitialTwin) -> Self {
        let own = |map: &Map<String, Value>| Some(without_service_members(map.clone()));
        Self { tags: own(&twin.tags), desired: own(&twin.desired) }
    }
}

impl Twin {
    /// The twin of a new device. Refused where it breaks a limit.
    pub fn new(initial: TwinChange, now: Timestamp) -> Result<Self, Fault> {
        let tags = section::without_nulls(initial.tags.unwrap_or_default());
        let desired = Section::new(initial.desired.unwrap_or_default(), now);
        let twin = Self { tags, desired, reported: Section::new(Map::new(), now), version: 2, revision: 1 };
        rules::check_incoming("tags", &twin.tags)?;
        rules::check_incoming("properties.desired", twin.desired.values())?;
        twin.check_sizes()?;
        Ok(twin)
    }

    /// Merges a change of the service. Gives what a connected device must be told.
    pub fn patch(&mut self, change: TwinChange, now: Timestamp) -> Result<Option<DesiredPatch>, Fault> {
        if let Some(tags) = change.tags {
            section::merge_plain(&mut self.tags, tags);
        }
        let told = change.desired.map(|patch| {
            self.desired.patch(patch.clone(), now);
            DesiredPatch { version: self.desired.version(), patch }
        });
        self.service_changed();
        self.check_sizes()?;
        Ok(told)
    }

    /// Puts the service's tags and desired properties in place of the present ones. Gives what a connected device must be told.
    pub fn replace(&mut self, change: TwinChange, now: Timestamp) -> Result<DesiredPatch, Fault> {
        self.tags = section::without_nulls(change.tags.unwrap_or_default());
        let patch = self.desired.replace(change.desired.unwrap_or_default(), now);
        self.service_changed();
        self.check_sizes()?;
        Ok(DesiredPatch { version: self.desired.version(), patch })
    }

    /// Drops what the device reported, as a device that starts anew has reported nothing.
    pub fn forget_reported(&mut self, now: Timestamp) {
        self.reported = Section::new(Map::new(), now);
    }

    /// Merges what the device reports; gives the new version of the reported properties.
    pub fn report(&mut self, patch: &Value, now: Timestamp) -> Result<u64, Fault> {
        let patch = patch.as_object().ok_or_else(|| Fault::invalid("Reported properties must be a JSON object."))?;
        let patch = without_service_members(patch.clone());
        rules::check_incoming("properties.reported", &patch)?;
        self.reported.patch(patch, now);
        rules::check_size("properties.reported", self.reported.values())?;
        self.version = self.version.saturating_add(1);
        Ok(self.reported.version())
    }

    /// The ETag, unquoted.
    pub fn etag(&self) -> String {
        etag::of_revision(self.revision)
    }

    /// Counts every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Seen by the service only.
    pub fn tags(&self) -> &Map<String, Value> {
        &self.tags
    }

    /// Seen by the device.
    pub fn desired(&self) -> &Section {
        &self.desired
    }

    /// Told by the device.
    pub fn reported(&self) -> &Section {
        &self.reported
    }

    /// Tags and desired properties, for a move to another hub.
    pub fn to_initial(&self) -> InitialTwin {
        InitialTwin { tags: self.tags.clone(), desired: self.desired.values().clone() }
    }

    /// Both property sections as the service sees them.
    pub fn properties_document(&self) -> Value {
        json!({
            "desired": self.desired.document(VersionMetadata::Told),
            "reported": self.reported.document(VersionMetadata::Omitted),
        })
    }

    /// The twin as the device gets it (azure-iot-sdk-python: iothub/pipeline GetTwinOperation): no tags, no metadata.
    pub fn device_document(&self) -> Value {
        json!({ "desired": self.desired.device_document(), "reported": self.reported.device_document() })
    }

    fn service_changed(&mut self) {
        self.version = self.version.saturating_add(1);
        self.revision = self.revision.saturating_add(1);
    }

    fn check_sizes(&self) -> Result<(), Fault> {
        rules::check_size("tags", &self.tags)?;
        rules::check_size("properties.desired", self.desired.values())
    }
}

fn section_of(value: Option<&Value>, what: &str) -> Result<Option<Map<String, Value>>, Fault> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map.clone())),
        Some(_) => Err(Fault::invalid(format!("{what} must be a JSON object."))),
    }
}

fn without_service_members(mut map: Map<String, Value>) -> Map<String, Value> {
    map.remove("$metadata");
    map.remove("$version");
    map
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn change(body: Value) -> TwinChange {
        TwinChange::parse(&body).unwrap()
    }

    fn twin() -> Twin {
        Twin::new(change(json!({"tags": {"site": "a"}, "properties": {"desired": {"rate": 5}}})), NOW).unwrap()
    }

    #[test]
    fn a_new_twin_has_the_numbers_of_iot_hub() {
        let twin = twin();
        assert_eq!((twin.version(), twin.etag().as_str()), (2, "AAAAAAAAAAE="));
        assert_eq!(twin.properties_document()["desired"]["$version"], 1);
        assert_eq!(twin.properties_document()["reported"]["$version"], 1);
    }

    #[test]
    fn the_service_patches_and_the_device_is_told_only_of_desired_changes() {
        let mut twin = twin();
        assert_eq!(twin.patch(change(json!({"tags": {"site": null, "floor": 2}})), NOW).unwrap(), None);
        let told = twin.patch(change(json!({"properties": {"desired": {"rate": 9, "$version": 77}}})), NOW).unwrap().unwrap();
        assert_eq!(told.document(), json!({"rate": 9, "$version": 2}));
        assert_eq!(Value::Object(twin.tags().clone()), json!({"floor": 2}));
        assert_eq!((twin.version(), twin.etag().as_str()), (4, "AAAAAAAAAAM="));
    }

    #[test]
    fn what_the_device_reports_leaves_the_etag_alone() {
        let mut twin = twin();
        let etag = twin.etag();
        assert_eq!(twin.report(&json!({"fw": "1.2"}), NOW).unwrap(), 2);
        assert_eq!((twin.version(), twin.etag()), (3, etag));
        assert_eq!(twin.device_document(), json!({"desired": {"rate": 5, "$version": 1}, "reported": {"fw": "1.2", "$version": 2}}));
    }

    #[test]
    fn limits_hold_for_every_section() {
        let deep = (0..DEPTH_MAX).fold(json!(1), |inner, _| json!({ "k": inner }));
        assert!(TwinChange::parse(&json!({ "tags": deep })).is_ok());
        assert!(TwinChange::parse(&json!({ "tags": { "k": deep } })).is_err());
        for key in ["a.b", "a$", "a b", "a\u{7}", ""] {
            assert!(TwinChange::parse(&json!({ "tags": { key: 1 } })).is_err(), "{key:?}");
        }
        assert!(TwinChange::parse(&json!({"tags": {"n": INTEGER_MAX}})).is_ok());
        assert!(TwinChange::parse(&json!({"tags": {"n": INTEGER_MAX + 1}})).is_err());
        assert!(TwinChange::parse(&json!({"tags": {"n": u64::MAX}})).is_err());
        assert!(TwinChange::parse(&json!({"tags": {"n": "x".repeat(TEXT_BYTES_MAX + 1)}})).is_err());
        let mut twin = twin();
        let chunk = "x".repeat(TEXT_BYTES_MAX);
        let full = (0..8).try_for_each(|n| twin.report(&json!({ format!("k{n}"): chunk }), NOW).map(|_| ()));
        assert_eq!(full.unwrap_err().code, crate::Code::ArgumentInvalid);
    }

    #[test]
    fn a_replacement_clears_what_it_does_not_name() {
        let mut twin = twin();
        let told = twin.replace(change(json!({"properties": {"desired": {"mode": "x"}}})), NOW).unwrap();
        assert_eq!(told.document(), json!({"rate": null, "mode": "x", "$version": 2}));
        assert!(twin.tags().is_empty());
    }
}
