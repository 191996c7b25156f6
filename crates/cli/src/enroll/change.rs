//! Making, changing and deleting one.

use std::{fs, io::Read as _, path::Path};

use serde_json::{Value, json};
use usher_device::Failure;
use usher_domain::limits::MESSAGE_BYTES_MAX;

use super::{arguments::Change, document, missing::explained, reach::ServiceReach, refused, settings::Settings, show};
use crate::service_api::{Answer, Kind, Refusal, ServiceApi};

/// `create`
pub async fn create<S: Settings>(kind: Kind, arguments: &Change<S>) -> Result<(), Failure> {
    let said = arguments.settings.said();
    let mut wanted = document::base(&said, &read)?.unwrap_or_else(|| json!({}));
    document::apply(kind, &said, &mut wanted, &read)?;
    wanted[kind.id_member()] = json!(arguments.id);
    if !wanted["attestation"].is_object() {
        let next = match kind {
            Kind::Individual => "Give --symmetric-key, --certificate, --ca-reference, --tpm-ek or --from-json.",
            Kind::Group => "Give --symmetric-key, --ca, --ca-reference or --from-json.",
        };
        return Err(Failure::new("settings", "nothing tells how it is to prove itself", next));
    }
    if arguments.etag.is_some() {
        return Err(Failure::new("settings", "--etag is for what is there already", "Use update, or leave --etag out."));
    }
    let api = super::open(&arguments.reach).await?;
    // One of a bulk request: a PUT would replace one that is there.
    let answer = api.bulk(kind, "create", std::slice::from_ref(&wanted)).await?;
    made(kind, &arguments.id, &answer.accepted().map_err(refused)?)?;
    show::after(&api, kind, &arguments.id, arguments.keys, arguments.reach.json(), "is enrolled").await
}

/// The one item's error, where it has one.
fn made(kind: Kind, id: &str, answered: &Value) -> Result<(), Failure> {
    let Some(error) = answered["errors"].as_array().and_then(|errors| errors.first()) else { return Ok(()) };
    let code = error["errorCode"].as_u64().unwrap_or_default();
    if code / 1_000 == 409 {
        let command = kind.command();
        let next = format!("Change it with `usher {command} update {id} …`, or look at it with `usher {command} show {id}`.");
        return Err(Failure::new(kind.noun(), format!("there is {} {id} already", kind.noun_with_article()), next));
    }
    let message = error["errorStatus"].as_str().unwrap_or("no message").to_owned();
    Err(Refusal { status: u16::try_from(code / 1_000).unwrap_or(500), code, message, tracking_id: String::new() }.failure())
}

/// `update`
pub async fn update<S: Settings>(kind: Kind, arguments: &Change<S>) -> Result<(), Failure> {
    let said = arguments.settings.said();
    let base = document::base(&said, &read)?;
    let api = super::open(&arguments.reach).await?;
    let there = existing(&api, kind, &arguments.id).await?;
    let mut wanted = base.unwrap_or_else(|| there.clone());
    document::apply(kind, &said, &mut wanted, &read)?;
    if wanted == there {
        let next = "Give an option that changes something; --help lists them.";
        return Err(Failure::new("settings", format!("{} is as wished already", arguments.id), next));
    }
    // Keys and certificates that are there are kept by the service where the document does not name new ones.
    let etag = arguments.etag.as_deref().or(there["etag"].as_str());
    write(&api, kind, &arguments.id, &wanted, etag).await?;
    show::after(&api, kind, &arguments.id, arguments.keys, arguments.reach.json(), "is changed").await
}

/// `enable` and `disable`
pub async fn set_status(kind: Kind, id: &str, status: &str, etag: Option<&str>, reach: &ServiceReach) -> Result<(), Failure> {
    let api = super::open(reach).await?;
    let mut document = existing(&api, kind, id).await?;
    let read_etag = document["etag"].as_str().map(str::to_owned);
    document["provisioningStatus"] = json!(status);
    write(&api, kind, id, &document, etag.or(read_etag.as_deref())).await?;
    show::after(&api, kind, id, false, reach.json(), &format!("is {status}")).await
}

/// `delete`
pub async fn delete(kind: Kind, id: &str, etag: Option<&str>, reach: &ServiceReach) -> Result<(), Failure> {
    let api = super::open(reach).await?;
    match api.delete(&kind.path(id), etag).await?.accepted() {
        Ok(_) if reach.json() => say!("{}", json!({ "deleted": id })),
        Ok(_) => {
            say!("{id} is deleted. Devices that it admitted stay on their hubs; `usher registration delete` forgets where they are.")
        }
        Err(refusal) => return Err(explained(&api, kind, id, refusal).await),
    }
    Ok(())
}

pub(super) async fn existing(api: &ServiceApi, kind: Kind, id: &str) -> Result<Value, Failure> {
    match api.get(&kind.path(id)).await?.accepted() {
        Ok(document) => Ok(document),
        Err(refusal) => Err(explained(api, kind, id, refusal).await),
    }
}

async fn write(api: &ServiceApi, kind: Kind, id: &str, document: &Value, etag: Option<&str>) -> Result<Answer, Failure> {
    let answer = api.put(&kind.path(id), document, etag).await?;
    if (200..300).contains(&answer.status) { Ok(answer) } else { Err(explained(api, kind, id, answer.refusal()).await) }
}

/// A text file, or standard input for `-`.
fn read(path: &Path) -> Result<String, Failure> {
    let limited = |from: &mut dyn std::io::Read| {
        let mut text = String::new();
        from.take(MESSAGE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map(|_| text)
    };
    let text =
        if path == Path::new("-") { limited(&mut std::io::stdin()) } else { fs::File::open(path).and_then(|mut file| limited(&mut file)) };
    let text = text.map_err(|why| Failure::settings(format!("cannot read {}: {why}", path.display())))?;
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(Failure::settings(format!("{} is larger than the {MESSAGE_BYTES_MAX} bytes that the service takes", path.display())));
    }
    Ok(text)
}
