//! Which service is meant, and how its service API is reached.

use std::{fs, path::Path};

use clap::Args;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use usher_device::Failure;
use usher_server::Manifest;

use crate::{
    operate::{Of, Session, connection_string},
    service_api::ServiceApi,
};

/// The environment variable with the connection string.
const VARIABLE: &str = "USHER_CONNECTION_STRING";

/// Which service is meant.
#[derive(Args)]
pub struct ServiceReach {
    /// The service's connection string; better in the environment as USHER_CONNECTION_STRING [default: from dev.json, or by the
    /// management API]
    #[arg(long, value_name = "TEXT")]
    pub connection_string: Option<String>,
    #[command(flatten)]
    pub of: Of,
}

impl ServiceReach {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.of.reach.json
    }
}

/// A client of the service that is meant: by the connection string that was said, by that of dev.json, or by one that the management
/// API tells.
///
/// # Errors
/// Nothing tells where the service is.
pub async fn open(reach: &ServiceReach) -> Result<ServiceApi, Failure> {
    let from_environment = || std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let dev = Manifest::read(&reach.of.reach.state).ok();
    let trust = trust(reach, dev.as_ref())?;
    let said = reach.connection_string.clone().or_else(|| reach.of.reach.url.is_none().then(from_environment).flatten());
    if let Some(text) = said {
        return ServiceApi::new(&text, &trust);
    }
    if let Some(dev) = dev.filter(|dev| reach.of.reach.url.is_none() && is_its_own(dev, reach.of.service.as_deref())) {
        return ServiceApi::new(&dev.service.connection_string, &trust);
    }
    let session = Session::open(&reach.of.reach)
        .map_err(|why| Failure { next: format!("{} Or give the service's --connection-string with --trust.", why.next), ..why })?;
    let service = session.service(reach.of.service.as_deref()).await?;
    let policies = session.policies(&service).await?;
    ServiceApi::new(&told_connection_string(&service, &policies)?, &trust)
}

/// The connection string of a policy that may write enrollments, the broadest first.
fn told_connection_string(service: &Value, policies: &[Value]) -> Result<String, Failure> {
    let rights = |policy: &Value| policy["rights"].as_str().unwrap_or_default().split(',').count();
    let may_write = policies.iter().filter(|policy| policy["rights"].as_str().is_some_and(|rights| rights.contains("EnrollmentWrite")));
    let chosen = may_write.max_by_key(|policy| rights(policy)).ok_or_else(|| {
        let name = service["name"].as_str().unwrap_or_default();
        Failure::new("service", format!("no access policy of {name} may write enrollments"), "Give another policy's --connection-string.")
    })?;
    let host = service["properties"]["serviceOperationsHostName"].as_str().unwrap_or_default();
    Ok(connection_string(host, chosen, "primaryKey"))
}

fn is_its_own(dev: &Manifest, service: Option<&str>) -> bool {
    let own = dev.management.resource_id.rsplit('/').next().unwrap_or_default();
    service.is_none_or(|service| service.eq_ignore_ascii_case(own))
}

/// The roots to trust besides the machine's.
fn trust(reach: &ServiceReach, dev: Option<&Manifest>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let path = match (&reach.of.reach.trust, dev) {
        (Some(path), _) => path.clone(),
        (None, Some(dev)) => reach.of.reach.state.join(&dev.trust),
        (None, None) => return Ok(Vec::new()),
    };
    roots(&path)
}

fn roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let pem = fs::read(path).map_err(|why| Failure::settings(format!("cannot read {}: {why}", path.display())))?;
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    roots.map_err(|why| Failure::settings(format!("{} is not PEM: {why}", path.display())))
}
