//! `usher registration`: where devices are.

use clap::Subcommand;
use serde_json::{Value, json};
use usher_device::Failure;

use super::{explain::printable, text};
use crate::{
    enroll::{ServiceReach, open},
    near::nearest,
    service_api::{Answer, Kind, ServiceApi, escaped},
    show::table,
};

/// The largest page that the service gives.
const PAGE_ITEMS_MAX: usize = 1_000;

#[derive(Subcommand)]
pub enum RegistrationCommand {
    /// List the devices that a group has admitted, or without one those with enrollments of their own
    List {
        /// The enrollment group
        #[arg(long, value_name = "ID")]
        group: Option<String>,
        /// The most to show
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        top: u32,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Show where a device is
    Show {
        /// The device's registration ID
        registration_id: String,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Forget where a device is; it stays on its hub, and is assigned anew when it registers again
    Delete {
        /// The device's registration ID
        registration_id: String,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        reach: ServiceReach,
    },
}

/// `usher registration …`
pub async fn run(command: RegistrationCommand) -> Result<(), String> {
    let outcome = match command {
        RegistrationCommand::List { group, top, reach } => list(group.as_deref(), top as usize, &reach).await,
        RegistrationCommand::Show { registration_id, reach } => show(&registration_id, &reach).await,
        RegistrationCommand::Delete { registration_id, etag, reach } => delete(&registration_id, etag.as_deref(), &reach).await,
    };
    outcome.map_err(|why| why.to_string())
}

fn path(id: &str) -> String {
    format!("/registrations/{}", escaped(id))
}

async fn list(group: Option<&str>, top: usize, reach: &ServiceReach) -> Result<(), Failure> {
    let api = open(reach).await?;
    if let Some(group) = group {
        existing_group(&api, group).await?;
    }
    let listed = group.map_or_else(|| Kind::Individual.query_path(), |group| format!("{}/query", path(group)));
    let (mut found, mut token) = (Vec::new(), None);
    loop {
        let wanted = top.saturating_sub(found.len()).min(PAGE_ITEMS_MAX);
        let answer = api.page(&listed, None, wanted, token.as_deref()).await?;
        token.clone_from(&answer.continuation);
        if let Value::Array(page) = accepted(answer)? {
            let states = page.into_iter().map(|mut item| if group.is_some() { item } else { item["registrationState"].take() });
            found.extend(states.filter(Value::is_object));
        }
        if token.is_none() || found.len() >= top {
            break;
        }
    }
    if token.is_some() {
        eprintln!("There may be more: --top {} shows more.", top.saturating_mul(10));
    }
    print_list(&found, group, reach.json());
    Ok(())
}

fn print_list(found: &[Value], group: Option<&str>, json: bool) {
    let row = |state: &Value| {
        ["registrationId", "status", "assignedHub", "deviceId", "lastUpdatedDateTimeUtc"]
            .map(|member| printable(&text(&state[member])))
            .to_vec()
    };
    if json {
        say!("{:#}", Value::Array(found.to_vec()));
    } else if found.is_empty() {
        let of = group.map_or_else(|| "with an enrollment of its own".to_owned(), |group| format!("of the group {group}"));
        say!("No device {of} has registered yet.");
    } else {
        say!("{}", table(&["registration ID", "status", "hub", "device", "changed"], &found.iter().map(row).collect::<Vec<_>>()));
    }
}

/// A listing of a group that is not there is empty, which would mislead.
async fn existing_group(api: &ServiceApi, group: &str) -> Result<(), Failure> {
    let answer = api.get(&Kind::Group.path(group)).await?;
    if answer.status != 404 {
        return accepted(answer).map(|_| ());
    }
    let groups = accepted(api.page(&Kind::Group.query_path(), None, PAGE_ITEMS_MAX, None).await?)?;
    let names = groups.as_array().into_iter().flatten().filter_map(|group| group["enrollmentGroupId"].as_str());
    let near = nearest(group, names).map(|near| format!("; is {near} meant?")).unwrap_or_default();
    Err(Failure::new("enrollment group", format!("there is no enrollment group {group}{near}"), "`usher group list` shows what there is."))
}

fn accepted(answer: Answer) -> Result<Value, Failure> {
    answer.accepted().map_err(|refusal| refusal.failure())
}

async fn show(id: &str, reach: &ServiceReach) -> Result<(), Failure> {
    let state = accepted_of(id, open(reach).await?.get(&path(id)).await?)?;
    if reach.json() {
        say!("{state:#}");
        return Ok(());
    }
    for (what, member) in [
        ("registration ID", "registrationId"),
        ("status", "status"),
        ("how", "substatus"),
        ("hub", "assignedHub"),
        ("device", "deviceId"),
        ("error code", "errorCode"),
        ("error", "errorMessage"),
        ("registered", "createdDateTimeUtc"),
        ("changed", "lastUpdatedDateTimeUtc"),
        ("ETag", "etag"),
    ] {
        let value = text(&state[member]);
        if !value.is_empty() {
            say!("  {what:18}{}", printable(&value));
        }
    }
    Ok(())
}

async fn delete(id: &str, etag: Option<&str>, reach: &ServiceReach) -> Result<(), Failure> {
    accepted_of(id, open(reach).await?.delete(&path(id), etag).await?)?;
    if reach.json() {
        say!("{}", json!({ "deleted": id }));
    } else {
        say!("Where {id} is is forgotten. It stays on its hub.");
    }
    Ok(())
}

fn accepted_of(id: &str, answer: Answer) -> Result<Value, Failure> {
    if answer.status == 404 {
        let next = format!("`usher explain {id}` tells whether it tried and why it was refused.");
        return Err(Failure::new("registration", format!("{id} has no registration: no device has registered by this ID"), next));
    }
    accepted(answer)
}
