//! Operating an installation: `usher service`, `usher hub`, `usher certificate`, `usher ca`, `usher keys`, `usher usage`, `usher audit`,
//! `usher explain` by its management API,
//! `usher registration` by a service's own, as any client does.

mod arguments;
mod audit;
mod ca;
mod ca_arguments;
mod certificate;
mod certificate_arguments;
mod explain;
mod hub;
mod keys;
mod proof;
mod registration;
mod service;
mod service_keys;
mod usage;

use std::io::Read as _;

use serde_json::Value;
use usher_device::{Failure, ManagementClient, trust_from_file};
use usher_domain::Secret;
use usher_server::Manifest;

pub use arguments::{Explain, HubCommand, Of, ServiceCommand, Usage};
pub use audit::{AuditCommand, run as run_audit};
pub use ca::run as run_ca;
pub use ca_arguments::CaCommand;
pub use certificate::run as run_certificate;
pub use certificate_arguments::CertificateCommand;
pub use explain::{printable, run as run_explain};
pub use hub::run as run_hub;
pub use keys::{KeysCommand, run as run_keys};
pub use registration::{RegistrationCommand, run as run_registration};
pub use service::{connection_string, run as run_service};
pub use usage::run as run_usage;

use arguments::Reach;

use crate::near::nearest;

/// Longest connection string read from standard input, in bytes.
const LINE_BYTES_MAX: u64 = 4096;

/// A conversation with an installation.
pub struct Session {
    client: ManagementClient,
    /// The name of the service that dev.json tells of.
    default_service: Option<String>,
}

impl Session {
    /// From what was said, or else from dev.json.
    pub fn open(reach: &Reach) -> Result<Self, Failure> {
        let dev = if reach.url.is_none() { Manifest::read(&reach.state).ok() } else { None };
        let missing = |what: &str| {
            let why = format!("no {what} was given, and {} has no dev.json", reach.state.display());
            Failure::new("settings", why, "Start `usher dev` in this folder, or give --url, --trust and --token.")
        };
        let from_environment = || std::env::var("USHER_TOKEN").ok().filter(|token| !token.is_empty());
        let token = reach.token.clone().or_else(from_environment).or(dev.as_ref().map(|dev| dev.management.token.clone()));
        let url = reach.url.clone().or(dev.as_ref().map(|dev| dev.management.url.clone())).ok_or_else(|| missing("URL"))?;
        let trust = reach.trust.clone().or(dev.as_ref().map(|dev| reach.state.join(&dev.trust))).ok_or_else(|| missing("trusted root"))?;
        let token = token.ok_or_else(|| Failure::new("settings", "no token was given", "Give --token, or set USHER_TOKEN."))?;
        let default_service = dev.and_then(|dev| dev.management.resource_id.rsplit('/').next().map(str::to_owned));
        Ok(Self { client: ManagementClient::new(&url, Secret::new(token), trust_from_file(&trust)?)?, default_service })
    }

    async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.client.send(http::Method::GET, path, None, None).await
    }

    /// `/subscriptions/…`: there is one.
    async fn subscription(&self) -> Result<String, Failure> {
        let found = self.get("/subscriptions").await?;
        found["value"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| strange("it tells no subscription"))
    }

    async fn services(&self) -> Result<Vec<Value>, Failure> {
        let path = format!("{}/providers/Microsoft.Devices/provisioningServices", self.subscription().await?);
        match self.get(&path).await?["value"].take() {
            Value::Array(services) => Ok(services),
            _ => Err(strange("it lists no services")),
        }
    }

    /// The service of this name; where none is said, that of dev.json or the only one.
    pub async fn service(&self, name: Option<&str>) -> Result<Value, Failure> {
        let services = self.services().await?;
        let names: Vec<&str> = services.iter().filter_map(|service| service["name"].as_str()).collect();
        let wanted = match (name.or(self.default_service.as_deref()), names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, _) => return Err(Failure::new("settings", "there is not just one service", "Say which: --service NAME.")),
        };
        let found = services.iter().find(|service| service["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
        found.cloned().ok_or_else(|| {
            let near = nearest(wanted, names.iter().copied()).map(|near| format!("is {near} meant? ")).unwrap_or_default();
            let there = if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
            let what = format!("there is no provisioning service {wanted}; {near}{there}");
            Failure::new("service", what, "Make one: usher service create NAME.")
        })
    }

    async fn send(&self, method: http::Method, path: &str, body: Option<&Value>, if_match: Option<&str>) -> Result<Value, Failure> {
        self.client.send(method, path, body, if_match).await
    }

    /// Writes a service back as it was read and changed, unless another changed it meanwhile.
    async fn write_back(&self, service: &Value) -> Result<Value, Failure> {
        self.client.send(http::Method::PUT, id_of(service)?, Some(service), service["etag"].as_str()).await
    }

    /// The access policies of a service, with their keys.
    pub async fn policies(&self, service: &Value) -> Result<Vec<Value>, Failure> {
        let mut told = self.client.send(http::Method::POST, &format!("{}/listkeys", id_of(service)?), None, None).await?;
        Ok(told["value"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }
}

fn id_of(service: &Value) -> Result<&str, Failure> {
    service["id"].as_str().ok_or_else(|| strange("a service has no id"))
}

fn strange(why: &str) -> Failure {
    Failure::new("management API", format!("the answer is not understood: {why}"), "Is this the URL of an usher?")
}

/// A member as text for a table.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A secret given on the command line, or by `-` on standard input.
fn given_or_read(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    let outcome = std::io::stdin().take(LINE_BYTES_MAX).read_to_string(&mut read);
    outcome.map_err(|why| Failure::settings(format!("standard input: {why}")))?;
    match read.lines().next().map(str::trim).filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::settings("standard input is empty")),
    }
}
