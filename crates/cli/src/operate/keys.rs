//! `usher keys`: what wraps what, rotation, and the cryptographic module.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use usher_device::Failure;
use usher_server::{Cryptography, Pin, TokenSettings, make_key};

use super::{
    Session,
    arguments::{Of, Reach},
    id_of, text,
};
use crate::show::table;

/// Longest PIN file read, in bytes.
const PIN_BYTES_MAX: usize = 4096;

#[derive(Subcommand)]
pub enum KeysCommand {
    /// The master keys: where they are, and how many tenants' data keys each wraps
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Wrap all data keys under the current master key, while nodes serve (docs/keys.md)
    Rotate {
        #[command(flatten)]
        reach: Reach,
    },
    /// Give a service a fresh data key; what older ones sealed stays readable
    Renew {
        /// The system's own records instead of a service's
        #[arg(long, conflicts_with = "service")]
        system: bool,
        #[command(flatten)]
        of: Of,
    },
    /// Make a master key in a PKCS#11 token, never to leave it
    Make(Make),
    /// The cryptographic module that this program is built on
    Module {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub struct Make {
    /// The token maker's PKCS#11 library
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The token's label
    #[arg(long, value_name = "LABEL")]
    token: String,
    /// The label of the new key
    #[arg(long, value_name = "LABEL")]
    key: String,
    /// A file with the token's user PIN
    #[arg(long, value_name = "FILE", required_unless_present = "pin_env")]
    pin_file: Option<PathBuf>,
    /// An environment variable with it
    #[arg(long, value_name = "NAME", conflicts_with = "pin_file")]
    pin_env: Option<String>,
}

/// `usher keys …`
pub async fn run(command: KeysCommand) -> Result<(), String> {
    let outcome = match command {
        KeysCommand::List { reach } => list(&reach).await,
        KeysCommand::Rotate { reach } => rotate(&reach).await,
        KeysCommand::Renew { system, of } => renew(system, &of).await,
        KeysCommand::Make(arguments) => make(&arguments),
        KeysCommand::Module { json } => return module(json),
    };
    outcome.map_err(|why| why.to_string())
}

async fn list(reach: &Reach) -> Result<(), Failure> {
    let session = Session::open(reach)?;
    let told = session.get(&format!("{}/masterKeys", session.subscription().await?)).await?;
    if reach.json {
        say!("{told:#}");
        return Ok(());
    }
    let keys: Vec<&Value> = told["value"].as_array().into_iter().flatten().collect();
    let origin = |key: &Value| key["origin"].as_str().unwrap_or("not on this node").to_owned();
    let row = |key: &Value| vec![text(&key["id"]), text(&key["role"]), origin(key), text(&key["tenants"]), text(&key["dataKeys"])];
    say!("{}", table(&["master key", "role", "where", "tenants", "data keys"], &keys.iter().map(|key| row(key)).collect::<Vec<_>>()));
    let module = &told["cryptography"];
    if !module.is_null() {
        say!("\nThe server's cryptographic module: {}", described(module));
    }
    let left = |key: &&&Value| key["role"] != "current" && key["tenants"].as_u64().is_some_and(|tenants| tenants > 0);
    match keys.iter().filter(left).count() {
        0 => {}
        _ => say!("Not all data keys are under the current master key: `usher keys rotate` brings them there."),
    }
    Ok(())
}

fn described(module: &Value) -> String {
    let yes = |member: &str, good: &str, bad: &str| if module[member] == true { good.to_owned() } else { bad.to_owned() };
    let (fips, tls) =
        (yes("fips", "in FIPS mode", "not in FIPS mode"), yes("tlsFips", "approved only", "not limited to what FIPS approves"));
    format!("{} {}, {fips}; TLS: {tls}", text(&module["name"]), text(&module["version"]))
}

async fn rotate(reach: &Reach) -> Result<(), Failure> {
    let session = Session::open(reach)?;
    let path = format!("{}/masterKeys/rotate", session.subscription().await?);
    let told = session.client.send(http::Method::POST, &path, None, None).await?;
    if reach.json {
        say!("{told:#}");
    } else {
        say!(
            "{} tenants' keys wrapped anew under {} ({}); {} were already.",
            told["rewrapped"],
            text(&told["id"]),
            text(&told["origin"]),
            told["already"]
        );
        say!("Check with `usher keys list` before you remove the earlier master key from any node's configuration.");
    }
    Ok(())
}

async fn renew(system: bool, of: &Of) -> Result<(), Failure> {
    let session = Session::open(&of.reach)?;
    let place = if system { session.subscription().await? } else { id_of(&session.service(of.service.as_deref()).await?)?.to_owned() };
    let told = session.client.send(http::Method::POST, &format!("{place}/renewDataKey"), None, None).await?;
    if of.reach.json {
        say!("{told:#}");
    } else {
        say!("{} seals with a fresh data key now; it has {}.", told["service"].as_str().unwrap_or("the system"), told["dataKeys"]);
    }
    Ok(())
}

fn make(arguments: &Make) -> Result<(), Failure> {
    let read = match (&arguments.pin_file, &arguments.pin_env) {
        (Some(path), _) => {
            std::fs::read_to_string(path).map_err(|why| Failure::settings(format!("the PIN file {}: {why}", path.display())))?
        }
        (None, Some(name)) => std::env::var(name).map_err(|_| Failure::settings(format!("the environment variable {name} is not set")))?,
        (None, None) => return Err(Failure::settings("no PIN was given")),
    };
    let pin = read.trim();
    if pin.is_empty() || pin.len() > PIN_BYTES_MAX {
        return Err(Failure::settings("the PIN is empty or too long"));
    }
    let (token, key) = (arguments.token.clone(), arguments.key.clone());
    let settings = TokenSettings { module: arguments.module.clone(), token, key, pin: Pin::new(pin) };
    make_key(&settings).map_err(|why| Failure::settings(why.to_string()))?;
    say!(
        "The token {} has an AES-256 key {} now, which cannot leave it. Whether the token can be backed up is up to its maker.",
        arguments.token,
        arguments.key
    );
    Ok(())
}

fn module(json: bool) -> Result<(), String> {
    let told = Cryptography::of_this_program().map_err(|why| why.to_string())?;
    let told = serde_json::to_value(&told).map_err(|why| why.to_string())?;
    if json {
        say!("{told:#}");
    } else {
        say!("{}", described(&told));
    }
    Ok(())
}
