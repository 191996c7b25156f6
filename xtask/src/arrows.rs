//! The dependency direction between crates: what `ARCHITECTURE.md` draws, held against `cargo metadata`.
//!
//! Adding an arrow means adding it here, in the same change, where a reviewer sees it. Development dependencies are free, since no
//! production code can lean on them.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Each crate and the crates of ours that it may use. Lower rooms first; nothing points up or sideways.
const ALLOWED: &[(&str, &[&str])] = &[
    // rules
    ("usher-domain", &[]),
    ("usher-mqtt", &[]),
    ("usher-amqp", &[]),
    ("usher-websocket", &[]),
    ("usher-store", &[]),
    ("usher-seal", &[]),
    ("usher-outbound", &[]),
    // means
    ("usher-wire", &["usher-mqtt", "usher-amqp"]),
    ("usher-attestation", &["usher-domain"]),
    ("usher-allocation", &["usher-domain"]),
    ("usher-latency", &["usher-domain", "usher-allocation"]),
    ("usher-throttle", &["usher-domain"]),
    ("usher-hub", &["usher-domain"]),
    ("usher-webhook", &["usher-domain"]),
    ("usher-webhook-http", &["usher-domain", "usher-webhook", "usher-outbound"]),
    ("usher-seal-pkcs11", &["usher-seal"]),
    ("usher-issuance", &["usher-domain", "usher-attestation"]),
    ("usher-issuance-est", &["usher-domain", "usher-issuance", "usher-outbound"]),
    ("usher-store-embedded", &["usher-store"]),
    ("usher-store-postgres", &["usher-store"]),
    ("usher-records", &["usher-domain", "usher-store", "usher-seal"]),
    ("usher-audit", &["usher-domain", "usher-store", "usher-records"]),
    ("usher-transfer", &["usher-store", "usher-seal", "usher-records"]),
    // use cases
    ("usher-registry", &["usher-domain", "usher-store", "usher-seal", "usher-records", "usher-attestation", "usher-throttle"]),
    (
        "usher-provisioning",
        &[
            "usher-domain",
            "usher-attestation",
            "usher-allocation",
            "usher-latency",
            "usher-hub",
            "usher-webhook",
            "usher-issuance",
            "usher-store",
            "usher-records",
            "usher-registry",
        ],
    ),
    ("usher-hub-embedded", &["usher-domain", "usher-hub", "usher-store", "usher-records", "usher-attestation"]),
    ("usher-hub-mosquitto", &["usher-domain", "usher-hub", "usher-mqtt", "usher-wire"]),
    ("usher-hub-iothub", &["usher-domain", "usher-hub", "usher-attestation", "usher-outbound"]),
    // rim
    ("usher-api-device", &["usher-domain", "usher-provisioning", "usher-mqtt", "usher-amqp", "usher-wire"]),
    (
        "usher-api-management",
        &["usher-domain", "usher-audit", "usher-registry", "usher-records", "usher-attestation", "usher-throttle", "usher-issuance"],
    ),
    ("usher-api-service", &["usher-domain", "usher-audit", "usher-registry", "usher-records", "usher-attestation"]),
    ("usher-api-hub", &["usher-domain", "usher-hub-embedded", "usher-attestation", "usher-mqtt", "usher-amqp", "usher-wire"]),
    ("usher-console", &["usher-domain"]),
    ("usher-device", &["usher-domain", "usher-attestation", "usher-mqtt", "usher-amqp", "usher-wire", "usher-websocket"]),
    // wiring: may use every room
    ("usher-server", &["*"]),
    ("usher", &["*"]),
    ("usher-scale", &["*"]),
    ("xtask", &["usher-domain"]),
];

/// Complaints about arrows that the table does not have.
pub fn check() -> Result<Vec<String>, String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let metadata = metadata()?;
    let mut complaints = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may) = allowed.get(name) else {
            complaints.push(format!("{name}: not in the table of xtask/src/arrows.rs; give it a place"));
            continue;
        };
        complaints.extend(
            arrows_of(package)
                .filter(|to| !may.contains(to) && !may.contains(&"*"))
                .map(|to| format!("{name} -> {to}: not an allowed arrow; see ARCHITECTURE.md and xtask/src/arrows.rs")),
        );
    }
    Ok(complaints)
}

fn arrows_of(package: &Value) -> impl Iterator<Item = &str> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    dependencies.filter(|d| d["kind"].is_null()).filter_map(|d| d["name"].as_str()).filter(|to| to.starts_with("usher"))
}

fn metadata() -> Result<Value, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .map_err(|why| format!("cannot run cargo metadata: {why}"))?;
    serde_json::from_slice(&output.stdout).map_err(|why| format!("cargo metadata is unreadable: {why}"))
}
