//! `usher audit`: who changed what, and whether the log of it is whole.

use clap::{Args, Subcommand};
use serde_json::Value;
use usher_device::Failure;

use super::{Session, arguments::Reach, text};
use crate::show::table;

/// Where the log is, in the management API.
const LOG: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Devices/auditLog";

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Who changed what, newest first
    List(AuditList),
    /// Look at the whole log: whether an entry was changed, exchanged or taken away
    Verify(AuditVerify),
}

#[derive(Args)]
pub struct AuditList {
    /// The most to show, 1 to 500
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Only entries before this number: to go on where another list ended
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
    #[command(flatten)]
    pub reach: Reach,
}

#[derive(Args)]
pub struct AuditVerify {
    /// A digest that was kept from an earlier look: its entry must still be there, so that nothing was cut off the end
    #[arg(long, value_name = "DIGEST")]
    pub digest: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
}

/// `usher audit`
pub async fn run(command: AuditCommand) -> Result<(), String> {
    let done = match command {
        AuditCommand::List(arguments) => list(&arguments).await,
        AuditCommand::Verify(arguments) => verify(&arguments).await,
    };
    done.map_err(|why| why.to_string())
}

async fn list(arguments: &AuditList) -> Result<(), Failure> {
    let session = Session::open(&arguments.reach)?;
    let before = arguments.before.map(|before| format!("&before={before}")).unwrap_or_default();
    let page = session.get(&format!("{LOG}?limit={}{before}", arguments.limit)).await?;
    if arguments.reach.json {
        say!("{page:#}");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = page["value"].as_array().into_iter().flatten().map(row).collect();
    say!("{}", table(&["number", "when", "who", "from", "service", "what", "came of it"], &rows));
    if let Some(next) = page["next"].as_u64() {
        say!("\nOlder ones: usher audit list --before {next}");
    }
    Ok(())
}

fn row(link: &Value) -> Vec<String> {
    let entry = &link["entry"];
    let actor = match &entry["actor"] {
        Value::Object(named) => named.iter().map(|(kind, name)| format!("{kind} {}", text(name))).collect(),
        other => text(other),
    };
    let outcome = entry["phase"]["ended"].as_u64().map_or_else(|| "begun".to_owned(), |status| status.to_string());
    let told = |name: &str| if entry[name].is_null() { "-".to_owned() } else { text(&entry[name]) };
    vec![text(&link["number"]), told("at"), actor, told("address"), told("service"), told("action"), outcome]
}

async fn verify(arguments: &AuditVerify) -> Result<(), Failure> {
    let session = Session::open(&arguments.reach)?;
    let kept = arguments.digest.as_ref().map(|digest| format!("?digest={digest}")).unwrap_or_default();
    let found = session.get(&format!("{LOG}/verify{kept}")).await?;
    if arguments.reach.json {
        say!("{found:#}");
    }
    if found["whole"] != Value::Bool(true) {
        let next = "Compare with a backup (`usher audit list` there); somebody with the master key has changed the log.";
        return Err(Failure::new("audit", format!("the log is not whole: {}", text(&found["broken"])), next));
    }
    if !arguments.reach.json {
        say!("The log is whole: {} entries. Keep this digest elsewhere:\n{}", text(&found["entries"]), text(&found["digest"]));
    }
    Ok(())
}
