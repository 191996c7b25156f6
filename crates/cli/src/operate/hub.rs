//! `usher hub`: the hubs that a service assigns devices to.

use serde_json::{Value, json};
use usher_device::Failure;

use super::{
    Session,
    arguments::{HubCommand, Of},
    given_or_read, strange, text,
};
use crate::{near::nearest, show::table};

/// `usher hub …`
pub async fn run(command: HubCommand) -> Result<(), String> {
    let outcome = match command {
        HubCommand::List { of } => list(&of).await,
        HubCommand::Link { hub, region, weight, not_by_policy, of } => link(&hub, &region, weight, !not_by_policy, &of).await,
        HubCommand::Update { hub, weight, region, by_policy, connection_string, of } => {
            let changes = [
                ("allocationWeight", weight.map(Value::from)),
                ("location", region.map(Value::from)),
                ("applyAllocationPolicy", by_policy.map(Value::from)),
                ("connectionString", connection_string.map(Value::from)),
            ];
            update(&hub, changes, &of).await
        }
        HubCommand::Unlink { hub, of } => unlink(&hub, &of).await,
    };
    outcome.map_err(|why| why.to_string())
}

async fn list(of: &Of) -> Result<(), Failure> {
    let service = Session::open(&of.reach)?.service(of.service.as_deref()).await?;
    print(&service, of);
    Ok(())
}

async fn link(hub: &str, region: &str, weight: u32, by_policy: bool, of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let given = given_or_read(hub)?;
    // A bare name is that of a hub inside the server, which needs no key.
    let connection = if given.contains(['=', '/']) { given } else { format!("HostName={given}") };
    let mut service = session.service(of.service.as_deref()).await?;
    let entry = json!({
        "connectionString": connection,
        "location": region,
        "allocationWeight": weight,
        "applyAllocationPolicy": by_policy,
    });
    hubs_of(&mut service)?.push(entry);
    print(&session.write_back(&service).await?, of);
    Ok(())
}

async fn update(hub: &str, changes: [(&str, Option<Value>); 4], of: &Of) -> Result<(), Failure> {
    if changes.iter().all(|(_, value)| value.is_none()) {
        return Err(Failure::new("settings", "nothing is to be changed", "Give --weight, --region, --by-policy or --connection-string."));
    }
    let session = Session::open(&of.reach)?;
    let mut service = session.service(of.service.as_deref()).await?;
    let place = place_of(hub, &mut service)?;
    if let Some(entry) = hubs_of(&mut service)?.get_mut(place) {
        for (member, value) in changes {
            match value {
                Some(Value::String(text)) if member == "connectionString" => entry[member] = json!(given_or_read(&text)?),
                Some(value) => entry[member] = value,
                None => {}
            }
        }
    }
    print(&session.write_back(&service).await?, of);
    Ok(())
}

async fn unlink(hub: &str, of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let mut service = session.service(of.service.as_deref()).await?;
    let place = place_of(hub, &mut service)?;
    hubs_of(&mut service)?.remove(place);
    print(&session.write_back(&service).await?, of);
    Ok(())
}

fn hubs_of(service: &mut Value) -> Result<&mut Vec<Value>, Failure> {
    service["properties"]["iotHubs"].as_array_mut().ok_or_else(|| strange("a service has no list of hubs"))
}

fn place_of(hub: &str, service: &mut Value) -> Result<usize, Failure> {
    let name = text(&service["name"]);
    let hubs = hubs_of(service)?;
    let place = hubs.iter().position(|linked| linked["name"].as_str().is_some_and(|linked| linked.eq_ignore_ascii_case(hub)));
    place.ok_or_else(|| {
        let linked: Vec<String> = hubs.iter().map(|linked| text(&linked["name"])).collect();
        let near = nearest(hub, linked.iter().map(String::as_str)).map(|near| format!("is {near} meant? ")).unwrap_or_default();
        let there = if linked.is_empty() { "it has none".to_owned() } else { format!("it has {}", linked.join(", ")) };
        Failure::new(
            "hub",
            format!("the service {name} has no hub {hub}; {near}{there}"),
            "Give the host name as `usher hub list` shows it.",
        )
    })
}

fn print(service: &Value, of: &Of) {
    if of.reach.json {
        say!("{:#}", service["properties"]["iotHubs"]);
    } else {
        say!("{}", hubs_table(service));
    }
}

/// The hubs of a service as a table.
pub fn hubs_table(service: &Value) -> String {
    let row = |hub: &Value| {
        ["name", "location", "allocationWeight", "applyAllocationPolicy"].iter().map(|member| text(&hub[*member])).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = service["properties"]["iotHubs"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return format!("{} has no hub: usher hub link NAME --region REGION", text(&service["name"]));
    }
    table(&["hub", "region", "weight", "by policy"], &rows)
}
