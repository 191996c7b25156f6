//! Linked hubs, as clients send them and as they are told: with masked keys, which may come back masked.

use serde::Deserialize;
use serde_json::{Value, json};
use usher_domain::{
    ErrorCode, HubName, ServiceError,
    hub_connection::member,
    service::{HubConnection, LinkedHub},
};

use crate::Site;

/// What stands for a key that is not told.
const MASK: &str = "****";
/// Largest weight (azure-mgmt-iothubprovisioningservices: allocationWeight; azure-cli: 1 to 1000). 0 takes no devices.
const WEIGHT_MAX: u32 = 1000;
/// Longest region, in characters.
const REGION_CHARS_MAX: usize = 64;

/// A linked hub as clients send it. Its name, where it is sent, is what it was told as.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubBody {
    name: Option<String>,
    connection_string: Option<String>,
    location: Option<String>,
    apply_allocation_policy: Option<bool>,
    allocation_weight: Option<u32>,
    authentication_type: Option<String>,
}

/// Reads the full list that replaces what there was. A hub that was linked before keeps what is left out, and its connection where the
/// key comes back masked: clients read the whole service, change one thing and write it back.
pub fn read(hubs: &[HubBody], linked: &[LinkedHub], site: &dyn Site) -> Result<Vec<LinkedHub>, ServiceError> {
    hubs.iter().map(|hub| read_one(hub, linked, site)).collect()
}

fn read_one(hub: &HubBody, linked: &[LinkedHub], site: &dyn Site) -> Result<LinkedHub, ServiceError> {
    if hub.authentication_type.as_deref().is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("KeyBased")) {
        return Err(invalid("Hubs are reached by connection string: authenticationType must be KeyBased."));
    }
    let (name, connection) = connection(hub, linked, site)?;
    let old = linked.iter().find(|linked| linked.name == name);
    let region = hub.location.clone().filter(|region| !region.is_empty()).or(old.map(|old| old.region.clone()));
    let region = region.ok_or_else(|| invalid(format!("The hub {name} needs a location: the region that it is in.")))?;
    if region.chars().count() > REGION_CHARS_MAX || region.chars().any(char::is_control) {
        return Err(invalid(format!("The location of the hub {name} must have at most {REGION_CHARS_MAX} printable characters.")));
    }
    let weight = hub.allocation_weight.or(old.map(|old| old.weight)).unwrap_or(1);
    if weight > WEIGHT_MAX {
        return Err(invalid(format!("The allocationWeight of the hub {name} must be 0 to {WEIGHT_MAX}.")));
    }
    let apply_allocation_policy = hub.apply_allocation_policy.or(old.map(|old| old.apply_allocation_policy)).unwrap_or(true);
    Ok(LinkedHub { name, region, weight, apply_allocation_policy, connection })
}

fn connection(hub: &HubBody, linked: &[LinkedHub], site: &dyn Site) -> Result<(HubName, HubConnection), ServiceError> {
    let text = hub.connection_string.as_deref().unwrap_or_default();
    let kept = |name: HubName| match linked.iter().find(|linked| linked.name == name) {
        Some(linked) => Ok((name, linked.connection.clone())),
        None => Err(invalid(format!("The hub {name} is not linked yet: send its connectionString with the key."))),
    };
    if text.is_empty() {
        let name = hub.name.as_deref().ok_or_else(|| invalid("A hub needs a connectionString."))?;
        return kept(HubName::parse(name).map_err(|why| invalid(format!("The hub's name: {why}.")))?);
    }
    // The hubs in this process are reached without a key.
    let named = member(text, "HostName").map(|host| host.split(':').next().unwrap_or_default());
    if let Some(name) = named.and_then(|name| HubName::parse(name).ok()).filter(|name| site.is_embedded(name)) {
        return Ok((name, HubConnection::Embedded));
    }
    if let (Some(name), false) = (named, text.contains(';')) {
        return Err(invalid(format!(
            "The hub {name:.100} is not one of this server: send its whole connection string, with policy and key."
        )));
    }
    let (name, connection) = HubConnection::parse(text).map_err(|why| invalid(format!("The hub cannot be linked: {why}.")))?;
    if text.contains(MASK) { kept(name) } else { Ok((name, connection)) }
}

/// A linked hub, its key masked.
pub fn describe(hub: &LinkedHub) -> Value {
    json!({
        "name": hub.name,
        "connectionString": masked(hub),
        "location": hub.region,
        "applyAllocationPolicy": hub.apply_allocation_policy,
        "allocationWeight": hub.weight,
    })
}

fn masked(hub: &LinkedHub) -> String {
    let as_iot_hub = |host: &str, policy: &str| format!("HostName={host};SharedAccessKeyName={policy};SharedAccessKey={MASK}");
    match &hub.connection {
        HubConnection::Embedded => as_iot_hub(hub.name.as_str(), "iothubowner"),
        HubConnection::IotHub { connection_string } => {
            let text = connection_string.expose();
            as_iot_hub(member(text, "HostName").unwrap_or_default(), member(text, "SharedAccessKeyName").unwrap_or_default())
        }
        HubConnection::Mosquitto { url } => {
            let (login, host) = url.expose().rsplit_once('@').unwrap_or_default();
            let user = login.rsplit_once(':').map_or(login, |(user, _)| user);
            format!("{user}:{MASK}@{host}")
        }
    }
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(ErrorCode::BadRequest, why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct OnlyLocalhost;

    impl Site for OnlyLocalhost {
        fn is_embedded(&self, hub: &HubName) -> bool {
            hub.as_str() == "localhost"
        }

        fn serve_host(&self, _: &str) -> Result<(), String> {
            Ok(())
        }
    }

    fn read_json(hubs: Value, linked: &[LinkedHub]) -> Result<Vec<LinkedHub>, String> {
        let bodies: Vec<HubBody> = serde_json::from_value(hubs).unwrap();
        read(&bodies, linked, &OnlyLocalhost).map_err(|error| error.message)
    }

    #[test]
    fn what_is_told_can_be_sent_back_and_keeps_every_secret() {
        let iot_hub = "HostName=far.example:8443;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0";
        let broker = "mosquitto://admin:p%40ss@broker.example:8884";
        let texts = ["HostName=localhost:8443;SharedAccessKeyName=x;SharedAccessKey=****", iot_hub, broker];
        let hubs = read_json(json!(texts.map(|text| json!({"connectionString": text, "location": "west"}))), &[]).unwrap();
        assert_eq!(hubs[0].connection, HubConnection::Embedded);
        let told: Vec<Value> = hubs.iter().map(describe).collect();
        let text = serde_json::to_string(&told).unwrap();
        assert!(!text.contains("c2VjcmV0") && !text.contains("p%40ss") && text.contains("far.example:8443"), "{text}");
        assert_eq!(read_json(json!(told), &hubs).unwrap(), hubs);
        let changed = read_json(json!([{"name": "far.example", "allocationWeight": 7}]), &hubs).unwrap();
        assert_eq!((changed[0].weight, &changed[0].connection), (7, &hubs[1].connection));
    }

    #[test]
    fn a_hub_that_cannot_be_linked_is_refused_by_name() {
        let masked = "HostName=new.example;SharedAccessKeyName=a;SharedAccessKey=****";
        let whole = "HostName=new.example;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0";
        for (hub, word) in [
            (json!({"connectionString": masked, "location": "x"}), "not linked"),
            (json!({"connectionString": whole}), "location"),
            (json!({"connectionString": whole, "location": "x", "allocationWeight": 1001}), "allocationWeight"),
            (json!({"location": "x"}), "connectionString"),
            (json!({"connectionString": "nonsense", "location": "x"}), "HostName"),
            (json!({"connectionString": whole, "location": "x", "authenticationType": "SystemAssigned"}), "KeyBased"),
        ] {
            let why = read_json(json!([hub]), &[]).unwrap_err();
            assert!(why.contains(word) && !why.contains("c2VjcmV0"), "{why}");
        }
    }
}
