//! Reading JSON bodies as leniently as SDKs write them.
//!
//! Explicit nulls mean "not there" everywhere but inside free-form data, and members that only the service writes are passed over
//! unread, so that a record that was read can be sent back whole.

use serde_json::{Map, Value};
use usher_domain::{
    ServiceError,
    document::{BulkDocument, EnrollmentDocument},
};

use super::invalid;

/// Members whose content is the operator's own.
const FREE_FORM: [&str; 2] = ["initialTwin", "optionalDeviceInformation"];
/// Members that the service alone writes.
const READ_ONLY: [&str; 3] = ["registrationState", "createdDateTimeUtc", "lastUpdatedDateTimeUtc"];

/// Reads an enrollment of either kind.
pub fn document_from_json(body: &[u8]) -> Result<EnrollmentDocument, ServiceError> {
    let mut value: Value = serde_json::from_slice(body).map_err(unreadable)?;
    tidy_enrollment(&mut value);
    serde_json::from_value(value).map_err(unreadable)
}

/// Reads a bulk request for either kind.
pub fn bulk_from_json(body: &[u8]) -> Result<BulkDocument, ServiceError> {
    let mut value: Value = serde_json::from_slice(body).map_err(unreadable)?;
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    for member in ["enrollments", "enrollmentGroups"] {
        if let Some(items) = value.get_mut(member).and_then(Value::as_array_mut) {
            items.iter_mut().for_each(tidy_enrollment);
        }
    }
    serde_json::from_value(value).map_err(unreadable)
}

fn unreadable(why: serde_json::Error) -> ServiceError {
    invalid(format!("The body cannot be read: {why}."))
}

fn tidy_enrollment(value: &mut Value) {
    let Some(members) = value.as_object_mut() else { return };
    members.retain(|name, value| !value.is_null() && !READ_ONLY.contains(&name.as_str()));
    members.iter_mut().filter(|(name, _)| !FREE_FORM.contains(&name.as_str())).for_each(|(_, member)| drop_nulls(member));
    // In a twin, the sections themselves may be null, what they hold may not be touched.
    if let Some(Value::Object(twin)) = members.get_mut("initialTwin") {
        tidy_twin(twin);
    }
}

fn tidy_twin(twin: &mut Map<String, Value>) {
    twin.retain(|_, section| !section.is_null());
    if let Some(Value::Object(properties)) = twin.get_mut("properties") {
        properties.retain(|_, section| !section.is_null());
    }
}

/// Drops null members at every level; serde_json bounds how deep JSON may nest (128).
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nulls_mean_absent_but_not_in_free_form_data() {
        let body = br#"{"registrationId":"d","deviceId":null,"capabilities":{"iotEdge":null},"registrationState":{"status":7},
            "reprovisionPolicy":{"updateHubAssignment":null},"initialTwin":{"tags":null,"properties":{"desired":{"a":null}}},
            "optionalDeviceInformation":{"a":null,"room":{"floor":null}},"attestation":{"type":"tpm","tpm":{"endorsementKey":"a","storageRootKey":null}}}"#;
        let document = document_from_json(body).unwrap();
        assert_eq!(document.device_id, None);
        assert_eq!(document.registration_state, None);
        assert!(document.reprovision_policy.unwrap().update_hub_assignment);
        let desired = document.initial_twin.unwrap().properties.unwrap().desired.unwrap();
        assert_eq!(serde_json::to_string(&desired).unwrap(), r#"{"a":null}"#);
        assert_eq!(document.optional_device_information.unwrap().pointer("/room/floor"), Some(&Value::Null));
    }

    #[test]
    fn a_bulk_request_is_tidied_item_by_item() {
        let body = br#"{"mode":"create","enrollmentGroups":null,"enrollments":[{"registrationId":"d","etag":null,"initialTwin":{"tags":{"a":null}}}]}"#;
        let bulk = bulk_from_json(body).unwrap();
        assert!(bulk.enrollment_groups.is_none());
        assert_eq!(bulk.enrollments.unwrap()[0].etag, None);
    }

    #[test]
    fn what_is_not_an_enrollment_is_refused() {
        for body in [&b"[1]"[..], b"\"x\"", b"{", b"", b"{\"iotHubs\":5}", b"null"] {
            assert!(document_from_json(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
