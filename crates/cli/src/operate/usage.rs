//! `usher usage`: metered operations by service and month.

use serde_json::{Value, json};
use usher_device::Failure;

use super::{Session, arguments::Usage, id_of, text};
use crate::show::table;

/// `usher usage`
pub async fn run(arguments: Usage) -> Result<(), String> {
    show(&arguments).await.map_err(|why| why.to_string())
}

async fn show(arguments: &Usage) -> Result<(), Failure> {
    let session = Session::open(&arguments.reach)?;
    let services = match &arguments.service {
        Some(name) => vec![session.service(Some(name)).await?],
        None => session.services().await?,
    };
    let mut told = Vec::new();
    for service in &services {
        let used = session.get(&format!("{}/usage?months={}", id_of(service)?, arguments.months)).await?;
        told.push(json!({ "service": service["name"], "months": used["value"] }));
    }
    if arguments.reach.json {
        say!("{:#}", Value::Array(told));
        return Ok(());
    }
    let months: Vec<String> = told.first().into_iter().flat_map(|one| members(one, "month")).collect();
    let head: Vec<&str> = std::iter::once("service").chain(months.iter().map(String::as_str)).collect();
    let rows: Vec<Vec<String>> =
        told.iter().map(|one| std::iter::once(text(&one["service"])).chain(members(one, "operations")).collect()).collect();
    say!("{}", table(&head, &rows));
    Ok(())
}

fn members(told: &Value, member: &str) -> Vec<String> {
    told["months"].as_array().into_iter().flatten().map(|month| text(&month[member])).collect()
}
