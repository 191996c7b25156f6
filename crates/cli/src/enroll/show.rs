//! Showing one or many.

use serde_json::Value;
use usher_device::Failure;

use super::{
    arguments::List,
    change::existing,
    missing::{explained, items},
    reach::ServiceReach,
    refused,
};
use crate::{
    bulk::reprovision_word,
    operate::{printable, text},
    service_api::{Kind, ServiceApi},
    show::table,
};

/// The largest page that the service gives.
const PAGE_ITEMS_MAX: usize = 1_000;

/// `list`
pub async fn list(kind: Kind, arguments: &List) -> Result<(), Failure> {
    let api = super::open(&arguments.reach).await?;
    let top = arguments.top as usize;
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let wanted = top.saturating_sub(found.len()).min(PAGE_ITEMS_MAX);
        let answer = api.page(&kind.query_path(), arguments.query.as_deref(), wanted, token.as_deref()).await?;
        token.clone_from(&answer.continuation);
        found.extend(items(answer.accepted().map_err(refused)?));
        if token.is_none() || found.len() >= top {
            break;
        }
    }
    if token.is_some() {
        eprintln!("There are more: --top {} shows more, `usher {} export` writes all.", top.saturating_mul(10), kind.command());
    }
    if arguments.reach.json() {
        say!("{:#}", Value::Array(found));
    } else if found.is_empty() {
        say!("There is none: usher {} create ID …", kind.command());
    } else {
        say!("{}", rows(kind, &found));
    }
    Ok(())
}

fn rows(kind: Kind, found: &[Value]) -> String {
    let id = kind.id_member();
    let row = |document: &Value| {
        let mut cells =
            vec![text(&document[id]), text(&document["attestation"]["type"]), text(&document["provisioningStatus"]), hubs(document)];
        if kind == Kind::Individual {
            let state = &document["registrationState"];
            cells.extend([text(&state["status"]), text(&state["assignedHub"])]);
        }
        cells.iter().map(|cell| printable(cell)).collect()
    };
    let head: &[&str] = match kind {
        Kind::Individual => &["ID", "attestation", "status", "hubs", "device", "on hub"],
        Kind::Group => &["ID", "attestation", "status", "hubs"],
    };
    table(head, &found.iter().map(row).collect::<Vec<_>>())
}

/// What the hub is chosen by and from.
fn hubs(document: &Value) -> String {
    let named: Vec<String> = document["iotHubs"].as_array().into_iter().flatten().map(text).collect();
    let named = if named.is_empty() { text(&document["iotHubHostName"]) } else { named.join(", ") };
    let policy = text(&document["allocationPolicy"]);
    match (policy.is_empty(), named.is_empty()) {
        (true, true) => "any".to_owned(),
        (true, false) => named,
        (false, true) => policy,
        (false, false) => format!("{policy}: {named}"),
    }
}

/// `show`
pub async fn show(kind: Kind, id: &str, keys: bool, reach: &ServiceReach) -> Result<(), Failure> {
    let api = super::open(reach).await?;
    let document = existing(&api, kind, id).await?;
    let document = if keys { with_keys(&api, kind, id, document).await? } else { document };
    print(kind, &document, reach.json());
    Ok(())
}

/// Shows what a change has made of it, after a sentence.
pub async fn after(api: &ServiceApi, kind: Kind, id: &str, keys: bool, json: bool, what: &str) -> Result<(), Failure> {
    let document = existing(api, kind, id).await?;
    let document = if keys { with_keys(api, kind, id, document).await? } else { document };
    if !json {
        say!("{} {what}.\n", printable(id));
    }
    print(kind, &document, json);
    let has_keys = document["attestation"]["type"] == "symmetricKey" && !document["attestation"]["symmetricKey"].is_object();
    if has_keys && !json {
        say!("\nIts keys: usher {} keys {}", kind.command(), printable(id));
    }
    Ok(())
}

/// `keys`
pub async fn keys(kind: Kind, id: &str, reach: &ServiceReach) -> Result<(), Failure> {
    let api = super::open(reach).await?;
    let mechanism = mechanism(&api, kind, id).await?;
    let keys = &mechanism["symmetricKey"];
    if !keys.is_object() {
        let what = format!("{id} has no symmetric keys: its attestation is {}", text(&mechanism["type"]));
        return Err(Failure::new(kind.noun(), what, format!("`usher {} show {id}` shows what it has.", kind.command())));
    }
    if reach.json() {
        say!("{keys:#}");
    } else {
        say!("  primary    {}\n  secondary  {}", text(&keys["primaryKey"]), text(&keys["secondaryKey"]));
    }
    Ok(())
}

async fn mechanism(api: &ServiceApi, kind: Kind, id: &str) -> Result<Value, Failure> {
    match api.keys(kind, id).await?.accepted() {
        Ok(mechanism) => Ok(mechanism),
        Err(refusal) => Err(explained(api, kind, id, refusal).await),
    }
}

async fn with_keys(api: &ServiceApi, kind: Kind, id: &str, mut document: Value) -> Result<Value, Failure> {
    document["attestation"] = mechanism(api, kind, id).await?;
    Ok(document)
}

fn print(kind: Kind, document: &Value, json: bool) {
    if json {
        say!("{document:#}");
        return;
    }
    for (what, value) in lines(kind, document) {
        if !value.is_empty() {
            say!("  {what:18}{}", printable(&value));
        }
    }
}

fn lines(kind: Kind, document: &Value) -> Vec<(&'static str, String)> {
    let (attestation, state) = (&document["attestation"], &document["registrationState"]);
    let x509 = &attestation["x509"];
    let certificate = |pair: &str, side: &str| {
        let info = &x509[pair][side]["info"];
        if info.is_object() {
            format!("{}, SHA-256 {}", text(&info["subjectName"]), text(&info["sha256Thumbprint"]))
        } else {
            String::new()
        }
    };
    let either = |side: &str| [certificate("clientCertificates", side), certificate("signingCertificates", side)].concat();
    let json = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    let edge = document["capabilities"]["iotEdge"].as_bool().unwrap_or_default();
    vec![
        ("ID", text(&document[kind.id_member()])),
        ("status", text(&document["provisioningStatus"])),
        ("attestation", text(&attestation["type"])),
        ("certificate", either("primary")),
        ("second certificate", either("secondary")),
        ("CA reference", text(&x509["caReferences"]["primary"])),
        ("second reference", text(&x509["caReferences"]["secondary"])),
        ("endorsement key", text(&attestation["tpm"]["endorsementKey"])),
        ("primary key", text(&attestation["symmetricKey"]["primaryKey"])),
        ("secondary key", text(&attestation["symmetricKey"]["secondaryKey"])),
        ("device ID", text(&document["deviceId"])),
        ("hubs", hubs(document)),
        ("webhook", text(&document["customAllocationDefinition"]["webhookUrl"])),
        ("re-provisioning", reprovision_word(&document["reprovisionPolicy"]).to_owned()),
        ("IoT Edge", if edge { "yes".into() } else { String::new() }),
        ("credential policy", text(&document["credentialPolicyName"])),
        ("initial twin", json(&document["initialTwin"])),
        ("information", json(&document["optionalDeviceInformation"])),
        ("created", text(&document["createdDateTimeUtc"])),
        ("changed", text(&document["lastUpdatedDateTimeUtc"])),
        ("ETag", text(&document["etag"])),
        ("registration", text(&state["status"])),
        ("on hub", text(&state["assignedHub"])),
        ("as device", text(&state["deviceId"])),
        ("error", text(&state["errorMessage"])),
    ]
}
