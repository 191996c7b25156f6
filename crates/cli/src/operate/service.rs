//! `usher service`: the provisioning services of an installation.

use serde_json::{Map, Value, json};
use usher_device::Failure;

use super::{
    Session,
    arguments::{Allocation, Create, Reach, ServiceCommand},
    id_of, text,
};
use crate::show::table;

/// `usher service …`
pub async fn run(command: ServiceCommand) -> Result<(), String> {
    let outcome = match command {
        ServiceCommand::List { reach } => list(&reach).await,
        ServiceCommand::Show { name, keys, reach } => show(&name, keys, &reach).await,
        ServiceCommand::Create(arguments) => create(&arguments).await,
        ServiceCommand::Update { name, tags, allocation, reach } => update(&name, &tags, allocation, &reach).await,
        ServiceCommand::Keys(arguments) => super::service_keys::run(&arguments).await,
        ServiceCommand::Delete { name, yes, reach } => delete(&name, yes, &reach).await,
    };
    outcome.map_err(|why| why.to_string())
}

async fn list(reach: &Reach) -> Result<(), Failure> {
    let services = Session::open(reach)?.services().await?;
    if reach.json {
        say!("{:#}", Value::Array(services));
        return Ok(());
    }
    let row = |service: &Value| {
        let properties = &service["properties"];
        let hubs = properties["iotHubs"].as_array().map_or(0, Vec::len);
        let host = text(&properties["serviceOperationsHostName"]);
        vec![text(&service["name"]), text(&service["resourcegroup"]), text(&properties["idScope"]), host, hubs.to_string()]
    };
    say!("{}", table(&["name", "group", "ID scope", "service API", "hubs"], &services.iter().map(row).collect::<Vec<_>>()));
    Ok(())
}

async fn show(name: &str, keys: bool, reach: &Reach) -> Result<(), Failure> {
    let session = Session::open(reach)?;
    let mut service = session.service(Some(name)).await?;
    let policies = if keys { session.policies(&service).await? } else { Vec::new() };
    if reach.json {
        if keys {
            service["properties"]["authorizationPolicies"] = Value::Array(policies);
        }
        say!("{service:#}");
        return Ok(());
    }
    print_service(&service);
    let host = text(&service["properties"]["serviceOperationsHostName"]);
    for policy in &policies {
        say!("\n  policy {} ({})", text(&policy["keyName"]), text(&policy["rights"]));
        for key in ["primaryKey", "secondaryKey"] {
            say!("    {}", connection_string(&host, policy, key));
        }
    }
    Ok(())
}

fn print_service(service: &Value) {
    let properties = &service["properties"];
    let tags = service["tags"].as_object().into_iter().flatten().map(|(name, value)| format!("{name}={}", text(value)));
    for (what, value) in [
        ("name", text(&service["name"])),
        ("resource group", text(&service["resourcegroup"])),
        ("location", text(&service["location"])),
        ("ID scope", text(&properties["idScope"])),
        ("service API", text(&properties["serviceOperationsHostName"])),
        ("allocation policy", text(&properties["allocationPolicy"])),
        ("tags", tags.collect::<Vec<_>>().join(", ")),
    ] {
        say!("  {what:18}{value}");
    }
    say!("\n{}", super::hub::hubs_table(service));
}

async fn create(arguments: &Create) -> Result<(), Failure> {
    let session = Session::open(&arguments.reach)?;
    let group = format!("{}/resourceGroups/{}", session.subscription().await?, arguments.group);
    let id = format!("{group}/providers/Microsoft.Devices/provisioningServices/{}", arguments.name);
    let mut properties = json!({ "allocationPolicy": arguments.allocation.word() });
    for (member, value) in [("idScope", &arguments.id_scope), ("serviceOperationsHostName", &arguments.host_name)] {
        if let Some(value) = value {
            properties[member] = json!(value);
        }
    }
    let tags: Map<String, Value> = arguments.tags.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let sku = json!({ "name": "S1", "capacity": 1 });
    let body = json!({ "location": arguments.location, "tags": tags, "sku": sku, "properties": properties });
    refuse_existing(&session, &arguments.name).await?;
    let made = session.client.send(http::Method::PUT, &id, Some(&body), None).await?;
    if arguments.reach.json {
        say!("{made:#}");
        return Ok(());
    }
    print_made(&session, &made).await
}

/// PUT would change a service that is there.
async fn refuse_existing(session: &Session, name: &str) -> Result<(), Failure> {
    let services = session.services().await?;
    if services.iter().any(|service| service["name"].as_str().is_some_and(|there| there.eq_ignore_ascii_case(name))) {
        return Err(Failure::new("service", format!("there is a provisioning service {name} already"), "Choose another name."));
    }
    Ok(())
}

async fn print_made(session: &Session, made: &Value) -> Result<(), Failure> {
    let host = text(&made["properties"]["serviceOperationsHostName"]);
    say!("{} is ready.\n", text(&made["name"]));
    say!("  ID scope            {}", text(&made["properties"]["idScope"]));
    if let Some(policy) = session.policies(made).await?.first() {
        say!("  service API         {}", connection_string(&host, policy, "primaryKey"));
    }
    say!("\nIt has no hub yet: usher hub link NAME --region REGION --service {}", text(&made["name"]));
    let bare = host.split(':').next().unwrap_or_default();
    if tokio::net::lookup_host((bare, 443)).await.is_err() {
        say!(
            "This machine does not know the name {bare}: add it to /etc/hosts with the server's address, on each that calls the service API."
        );
    }
    Ok(())
}

/// A policy's connection string, by its `primaryKey` or `secondaryKey`.
pub fn connection_string(host: &str, policy: &Value, key: &str) -> String {
    format!("HostName={host};SharedAccessKeyName={};SharedAccessKey={}", text(&policy["keyName"]), text(&policy[key]))
}

async fn update(name: &str, tags: &[(String, String)], allocation: Option<Allocation>, reach: &Reach) -> Result<(), Failure> {
    if tags.is_empty() && allocation.is_none() {
        return Err(Failure::new("settings", "nothing is to be changed", "Give --tag or --allocation."));
    }
    let session = Session::open(reach)?;
    let mut service = session.service(Some(name)).await?;
    if let Some(allocation) = allocation {
        service["properties"]["allocationPolicy"] = json!(allocation.word());
    }
    let mut kept = service["tags"].as_object().cloned().unwrap_or_default();
    for (name, value) in tags {
        if value.is_empty() {
            kept.remove(name);
        } else {
            kept.insert(name.clone(), json!(value));
        }
    }
    service["tags"] = Value::Object(kept);
    let changed = session.write_back(&service).await?;
    if reach.json {
        say!("{changed:#}")
    } else {
        print_service(&changed)
    }
    Ok(())
}

async fn delete(name: &str, yes: bool, reach: &Reach) -> Result<(), Failure> {
    let session = Session::open(reach)?;
    let service = session.service(Some(name)).await?;
    if !yes {
        let scope = text(&service["properties"]["idScope"]);
        let what =
            format!("this deletes {name} with all its enrollments and registrations, and devices with the ID scope {scope} are refused");
        return Err(Failure::new("delete", what, "Repeat it with --yes."));
    }
    session.client.send(http::Method::DELETE, id_of(&service)?, None, service["etag"].as_str()).await?;
    if reach.json {
        say!("{}", json!({ "deleted": service["name"] }))
    } else {
        say!("{name} is deleted. Its devices stay on their hubs.")
    }
    Ok(())
}
