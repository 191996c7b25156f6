//! From what was said on the command line to the enrollment it means. Files are read through a port, so that all of this is pure.

use std::path::Path;

use serde_json::{Map, Value, json};
use usher_device::Failure;

use super::settings::{Common, Said};
use crate::{
    bulk::{WEBHOOK_API_VERSION, reprovision},
    service_api::Kind,
};

/// Reads a text file, or standard input for `-`.
pub type Read<'a> = &'a dyn Fn(&Path) -> Result<String, Failure>;

/// Changes a document to what was said; nothing said changes nothing.
///
/// # Errors
/// What was said makes no sense, or a file cannot be read.
pub fn apply(kind: Kind, said: &Said<'_>, document: &mut Value, read: Read<'_>) -> Result<(), Failure> {
    let common = said.common;
    if let Some(attestation) = attestation(kind, said, read)? {
        document["attestation"] = attestation;
    }
    if let Some(id) = said.device_id {
        set(document, "deviceId", (!id.is_empty()).then(|| json!(id)));
    }
    allocate(common, document);
    if let Some(text) = &common.twin {
        document["initialTwin"] = twin(text, read)?;
    }
    if let Some(policy) = common.reprovision {
        document["reprovisionPolicy"] = reprovision(policy.word()).map_err(Failure::settings)?;
    }
    if let Some(edge) = common.edge {
        document["capabilities"] = json!({ "iotEdge": edge });
    }
    if let Some(name) = &common.credential_policy {
        set(document, "credentialPolicyName", (!name.is_empty()).then(|| json!(name)));
    }
    if let Some(status) = common.status {
        document["provisioningStatus"] = json!(status.word());
    }
    Ok(())
}

/// The document of `--from-json`, or an empty one.
///
/// # Errors
/// A file that is no JSON object.
pub fn base(said: &Said<'_>, read: Read<'_>) -> Result<Option<Value>, Failure> {
    let Some(path) = &said.common.from_json else { return Ok(None) };
    let document: Value =
        serde_json::from_str(&read(path)?).map_err(|why| Failure::settings(format!("{} is not JSON: {why}", path.display())))?;
    if document.is_object() {
        return Ok(Some(document));
    }
    Err(Failure::new("settings", format!("{} is not a JSON object", path.display()), "For many enrollments there is `import`."))
}

fn set(document: &mut Value, member: &str, value: Option<Value>) {
    let Some(members) = document.as_object_mut() else { return };
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.remove(member),
    };
}

fn attestation(kind: Kind, said: &Said<'_>, read: Read<'_>) -> Result<Option<Value>, Failure> {
    let common = said.common;
    if let Some(key) = &common.symmetric_key {
        let mut keys = Map::new();
        match key.as_str() {
            "generate" => {}
            "-" => drop(keys.insert("primaryKey".into(), json!(read(Path::new("-"))?.trim()))),
            key => drop(keys.insert("primaryKey".into(), json!(key))),
        }
        if let Some(second) = &common.secondary_key {
            keys.insert("secondaryKey".into(), json!(second));
        }
        return Ok(Some(json!({ "type": "symmetricKey", "symmetricKey": keys })));
    }
    if let Some(key) = said.tpm_ek {
        let mut tpm = json!({ "endorsementKey": key });
        set(&mut tpm, "storageRootKey", said.tpm_srk.map(Value::from));
        return Ok(Some(json!({ "type": "tpm", "tpm": tpm })));
    }
    if !common.ca_references.is_empty() {
        let names: Vec<Value> = common.ca_references.iter().map(|name| json!(name)).collect();
        return Ok(Some(json!({ "type": "x509", "x509": { "caReferences": pair(names, "--ca-reference")? } })));
    }
    if said.certificates.is_empty() {
        return Ok(None);
    }
    let (member, option) = match kind {
        Kind::Individual => ("clientCertificates", "--certificate"),
        Kind::Group => ("signingCertificates", "--ca"),
    };
    let read: Result<Vec<Value>, Failure> = said.certificates.iter().map(|path| Ok(json!({ "certificate": read(path)? }))).collect();
    Ok(Some(json!({ "type": "x509", "x509": { member: pair(read?, option)? } })))
}

fn pair(values: Vec<Value>, option: &str) -> Result<Value, Failure> {
    let mut values = values.into_iter();
    let mut pair = Map::new();
    for side in ["primary", "secondary"] {
        values.next().map(|value| pair.insert(side.into(), value));
    }
    match values.next() {
        None => Ok(Value::Object(pair)),
        Some(_) => Err(Failure::new("settings", format!("{option} is given more than twice"), "Give a primary and a secondary one.")),
    }
}

fn allocate(common: &Common, document: &mut Value) {
    if !common.hubs.is_empty() {
        let any = common.hubs.iter().any(|hub| hub.eq_ignore_ascii_case("any"));
        set(document, "iotHubs", (!any).then(|| json!(common.hubs)));
        set(document, "iotHubHostName", None);
    }
    if let Some(policy) = common.allocation {
        set(document, "allocationPolicy", policy.word().map(Value::from));
    }
    if let Some(url) = &common.webhook {
        let version = common.webhook_api_version.as_deref().unwrap_or(WEBHOOK_API_VERSION);
        document["customAllocationDefinition"] = json!({ "webhookUrl": url, "apiVersion": version });
        document["allocationPolicy"] = json!("custom");
    }
    if document["allocationPolicy"] != "custom" {
        set(document, "customAllocationDefinition", None);
    }
}

/// `{"desired":…}` is short for the service API's form.
fn twin(text: &str, read: Read<'_>) -> Result<Value, Failure> {
    let in_file = !text.trim_start().starts_with('{');
    let text = if in_file { read(Path::new(text))? } else { text.to_owned() };
    let mut twin: Value = serde_json::from_str(&text)
        .map_err(|why| Failure::new("settings", format!("--twin is not JSON: {why}"), "Give a JSON file, or JSON that begins with {."))?;
    let desired = twin.as_object_mut().and_then(|members| members.remove("desired"));
    if let Some(desired) = desired {
        twin["properties"] = json!({ "desired": desired });
    }
    match twin.as_object().and_then(|members| members.keys().find(|name| !matches!(name.as_str(), "tags" | "properties"))) {
        Some(other) => Err(Failure::new(
            "settings",
            format!("--twin has a member {other:?}"),
            "A twin has tags and properties, or for short tags and desired.",
        )),
        None => Ok(twin),
    }
}

#[cfg(test)]
mod tests;
