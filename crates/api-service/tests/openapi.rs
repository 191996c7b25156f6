//! `docs/openapi.json` and the code say the same: the doors with their rights, and the error table.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use usher_api_service::{OPENAPI, doors};
use usher_domain::ErrorCode;

/// The device API's operations: `api-device/src/https.rs` has no table of its own.
const DEVICE: [(&str, &str); 3] = [
    ("PUT", "/{idScope}/registrations/{registrationId}/register"),
    ("GET", "/{idScope}/registrations/{registrationId}/operations/{operationId}"),
    ("POST", "/{idScope}/registrations/{registrationId}"),
];

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Method, path, right.
fn described() -> BTreeSet<(String, String, String)> {
    let document = document();
    let mut found = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let right = operation["x-right"].as_str().unwrap_or_default().to_owned();
            found.insert((method.to_ascii_uppercase(), path.clone(), right));
        }
    }
    found
}

#[test]
fn every_door_is_described_with_its_right_and_nothing_else_is() {
    let doors = doors().iter().map(|door| (door.method.to_owned(), door.path.to_owned(), format!("{:?}", door.right)));
    let device = DEVICE.map(|(method, path)| (method.to_owned(), path.to_owned(), String::new()));
    assert_eq!(described(), doors.chain(device).collect());
}

#[test]
fn the_names_of_errors_are_those_of_the_table() {
    let document = document();
    let names = document["components"]["headers"]["ErrorName"]["schema"]["enum"].as_array().unwrap();
    let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    assert_eq!(names, ErrorCode::ALL.iter().map(|row| row.name()).collect::<Vec<_>>());
}

#[test]
fn every_status_of_a_refusal_is_in_the_table() {
    let known: BTreeSet<String> = ErrorCode::ALL.iter().map(|row| row.status().to_string()).collect();
    for item in document()["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for status in operation["responses"].as_object().unwrap().keys().filter(|status| status.as_str() >= "400") {
                assert!(known.contains(status), "{status} in {}", operation["operationId"]);
            }
        }
    }
}

#[test]
fn limits_are_the_code_s() {
    let document = document();
    let schema = |name: &str| document.pointer(&format!("/components/schemas/{name}")).unwrap().clone();
    assert_eq!(schema("Id")["maxLength"], usher_domain::limits::ID_CHARS_MAX);
    for (bulk, member) in [("IndividualEnrollmentBulk", "enrollments"), ("EnrollmentGroupBulk", "enrollmentGroups")] {
        assert_eq!(schema(bulk)["properties"][member]["maxItems"], usher_domain::limits::BULK_ITEMS_MAX);
    }
    assert_eq!(schema("EnrollmentGroup")["properties"]["iotHubs"]["maxItems"], usher_domain::limits::LINKED_HUBS_MAX);
}
