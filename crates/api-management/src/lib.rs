//! The management API: provisioning services as Azure Resource Manager exposes Microsoft.Devices/provisioningServices
//! (azure-mgmt-iothubprovisioningservices; azure-rest-api-specs: deviceprovisioningservices/resource-manager).
//!
//! Whoever has a token for it is the installation's administrator: it opens every service. There is one subscription. Resource groups are labels that
//! are there as soon as they are named; a service is found in its own group only, and its name belongs to it in all of them.

mod admit;
mod answer;
mod attempts;
mod audit;
mod certificates;
mod credential_policies;
mod describe;
mod doors;
mod groups;
mod hubs;
mod incoming;
mod installation_keys;
mod jwt;
mod login;
pub mod oidc;
mod openapi;
mod policies;
mod private_endpoints;
mod providers;
mod read;
mod route;
mod write;

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;
use usher_audit::{Actor, AuditLog};
use usher_domain::{
    HubName, Secret, TrackingId,
    clock::{Clock, Entropy},
    service::ProvisioningService,
    service_limits::ServiceLimits,
};
use usher_registry::Directory;

pub use answer::Refused;
pub use doors::{Door, doors};
pub use incoming::{Context, Description};
pub use login::{CLIENT_ID, ClientAddress, Login};
pub use openapi::{OPENAPI, OPENAPI_PATH, openapi};
pub use route::{Part, Place, Route};

use answer::{Answer, respond};
use login::LoginRoute;
use oidc::Oidc;

/// The one subscription of an installation.
pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

/// The server around the API.
pub trait Site: Send + Sync + 'static {
    /// Whether a hub of this name is in this process.
    fn is_embedded(&self, hub: &HubName) -> bool;

    /// From now on answers to a new service's host name.
    ///
    /// # Errors
    /// In words, where the server cannot.
    fn serve_host(&self, host_name: &str) -> Result<(), String>;
}

/// Everything the API reaches the world through.
pub struct Ports {
    /// Services and their records.
    pub directory: Arc<Directory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The server around.
    pub site: Arc<dyn Site>,
}

/// What the API is told at its start.
pub struct Settings {
    /// The bearer token that opens it.
    pub token: Secret,
    /// The device endpoint's name, as answers tell it.
    pub device_host: String,
    /// A new service is named `{name}.{domain}` where its maker names no host.
    pub domain: String,
    /// The HTTPS port, which host names of service APIs are told with where it is not 443.
    pub https_port: u16,
    /// The limits of new services.
    pub limits: ServiceLimits,
}

impl Settings {
    fn with_port(&self, host: &str) -> String {
        if self.https_port == 443 { host.to_owned() } else { format!("{host}:{}", self.https_port) }
    }
}

/// The management API of one node.
pub struct ManagementApi {
    ports: Ports,
    settings: Settings,
    login: Option<Login>,
    oidc: Option<Oidc>,
    audit: Option<AuditLog>,
    /// What is told of the cryptographic module.
    cryptography: serde_json::Value,
}

/// The Azure resource ID of a service.
pub fn resource_id(group: &str, name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}")
}

/// The Azure resource ID of this service.
pub fn resource_id_of(service: &ProvisioningService) -> String {
    resource_id(&service.resource.group, &service.name)
}

/// Whether a path belongs to the management API.
pub fn claims(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    ["subscriptions", "providers", "tenants"].iter().any(|word| word.eq_ignore_ascii_case(first)) || LoginRoute::of(path).is_some()
}

impl ManagementApi {
    /// The API over these ports.
    pub fn new(ports: Ports, settings: Settings) -> Self {
        Self { ports, settings, login: None, oidc: None, audit: None, cryptography: serde_json::Value::Null }
    }

    /// The same with a log-in, for tools that cannot send the admin token itself.
    #[must_use]
    pub fn with_login(self, login: Login) -> Self {
        Self { login: Some(login), ..self }
    }

    /// The same with an OIDC issuer whose tokens open it too, if there is one.
    #[must_use]
    pub fn with_oidc(self, oidc: Option<Oidc>) -> Self {
        Self { oidc, ..self }
    }

    /// The same with every change written down in the audit log.
    #[must_use]
    pub fn with_audit(self, audit: AuditLog) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// The same, telling of the cryptographic module that the server is on.
    #[must_use]
    pub fn with_cryptography(self, cryptography: &impl serde::Serialize) -> Self {
        Self { cryptography: serde_json::to_value(cryptography).unwrap_or_default(), ..self }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let tracking_id = self.new_tracking_id();
        if let (Some(login), Some(route)) = (&self.login, LoginRoute::of(request.uri().path())) {
            let base = format!("https://{}", self.settings.with_port(&self.settings.device_host));
            return login.answer(&route, &request, &base, &self.settings.token, (self.ports.clock.now(), &tracking_id));
        }
        let outcome = match self.authenticate(request.headers()).await {
            Ok(actor) => self.answer(actor, &request, &tracking_id).await,
            Err(refused) => Err(refused),
        };
        told(outcome, &request, &tracking_id)
    }

    /// Answers a request of somebody who was let in as an administrator before: the caller has made sure of who it is. There is no log-in
    /// here.
    pub async fn handle_for_administrator(&self, actor: Actor, request: Request<Bytes>) -> Response<Bytes> {
        let tracking_id = self.new_tracking_id();
        told(self.answer(actor, &request, &tracking_id).await, &request, &tracking_id)
    }

    fn new_tracking_id(&self) -> TrackingId {
        let mut random = [0; 16];
        self.ports.entropy.fill(&mut random);
        TrackingId::from_random(random)
    }

    async fn answer(&self, actor: Actor, request: &Request<Bytes>, tracking_id: &TrackingId) -> Result<Answer, Refused> {
        let query = request.uri().query().unwrap_or_default();
        if !query.split('&').any(|pair| pair.to_ascii_lowercase().starts_with("api-version=")) {
            return Err(Refused::bad("MissingApiVersionParameter", "The api-version query parameter is missing."));
        }
        let route = Route::of(request.uri().path())?;
        let entry = self.begin(actor, &route, request, tracking_id).await?;
        let outcome = self.carry_out(route, request).await;
        self.end(entry, &outcome).await;
        outcome
    }

    async fn carry_out(&self, route: Route, request: &Request<Bytes>) -> Result<Answer, Refused> {
        match (route, request.method().as_str()) {
            (Route::Operations, "GET") => Ok(operations()),
            (Route::Tenants, "GET") => Ok(Answer::ok(json!({ "value": [describe::tenant()] }))),
            (Route::Subscriptions, "GET") => Ok(Answer::ok(json!({ "value": [describe::subscription()] }))),
            (Route::Subscription, "GET") => Ok(Answer::ok(describe::subscription())),
            (Route::Groups, "GET") => self.groups().await,
            (Route::Group(name), _) => self.of_group(&name, request).await,
            (Route::Resources(group), "GET") => self.resources(group.as_deref()).await,
            (Route::Providers, "GET") => Ok(providers::all()),
            (Route::Provider(namespace), "GET") | (Route::Registration(namespace), "POST") => providers::one(&namespace),
            (Route::CheckName, "POST") => self.check_name(request.body()).await,
            (Route::Hubs, "GET") => self.hub_names().await,
            (Route::Audit, "GET") => self.audit_page(request).await,
            (Route::AuditProof, "GET") => self.audit_proof(request).await,
            (Route::MasterKeys, "GET") => self.master_keys().await,
            (Route::RotateMasterKey, "POST") => self.rotate_master_key().await,
            (Route::RenewSystemDataKey, "POST") => self.renew_system_data_key().await,
            (Route::Services(group), "GET") => self.services(group.as_deref()).await,
            (Route::Service(place, part), _) => self.of_service(&place, part, request).await,
            (Route::CheckName | Route::Registration(_) | Route::RotateMasterKey | Route::RenewSystemDataKey, _) => {
                Err(Refused::method("POST"))
            }
            _ => Err(Refused::method("GET")),
        }
    }

    async fn of_service(&self, place: &Place, part: Part, request: &Request<Bytes>) -> Result<Answer, Refused> {
        match (part, request.method().as_str()) {
            (Part::Itself, "GET") => self.service(place).await,
            (Part::Itself, "PUT") => self.put(place, request).await,
            (Part::Itself, "PATCH") => self.patch(place, request).await,
            (Part::Itself, "DELETE") => self.delete(place, request).await,
            (Part::Skus, "GET") => self.skus(place).await,
            (Part::Keys, "POST") => self.keys(place).await,
            (Part::Key(name), "POST") => self.key(place, &name).await,
            (Part::OperationResult(id), "GET") => self.operation_result(place, &id).await,
            (Part::RenewDataKey, "POST") => self.renew_data_key(place).await,
            (Part::Usage, "GET") => self.usage(place, request).await,
            (Part::Attempts(id), "GET") => self.attempts(place, &id).await,
            (Part::Certificates, "GET") => self.certificates(place).await,
            (Part::Certificate(name), "GET") => self.certificate(place, &name).await,
            (Part::Certificate(name), "PUT") => self.put_certificate(place, &name, request).await,
            (Part::Certificate(name), "DELETE") => self.delete_certificate(place, &name, request).await,
            (Part::VerificationCode(name), "POST") => self.verification_code(place, &name, request).await,
            (Part::Verification(name), "POST") => self.verify_certificate(place, &name, request).await,
            (Part::CredentialPolicies, "GET") => self.credential_policies(place).await,
            (Part::CredentialPolicy(name), "GET") => self.credential_policy(place, &name).await,
            (Part::CredentialPolicy(name), "PUT") => self.put_credential_policy(place, &name, request).await,
            (Part::CredentialPolicy(name), "DELETE") => self.delete_credential_policy(place, &name, request).await,
            (Part::Keys | Part::Key(_) | Part::RenewDataKey | Part::VerificationCode(_) | Part::Verification(_), _) => {
                Err(Refused::method("POST"))
            }
            (part @ (Part::PrivateLinks | Part::PrivateLink(_) | Part::PrivateConnections | Part::PrivateConnection(_)), _) => {
                self.private(place, &part, request.method()).await
            }
            (Part::Itself, _) => Err(Refused::method("GET, PUT, PATCH, DELETE")),
            (Part::Certificate(_) | Part::CredentialPolicy(_), _) => Err(Refused::method("GET, PUT, DELETE")),
            _ => Err(Refused::method("GET")),
        }
    }
}

/// Logs an outcome and frames it.
fn told(outcome: Result<Answer, Refused>, request: &Request<Bytes>, tracking_id: &TrackingId) -> Response<Bytes> {
    let (method, path) = (request.method(), request.uri().path().chars().take(300).collect::<String>());
    match &outcome {
        Err(refused) => tracing::warn!(%tracking_id, %method, path, check = refused.code, detail = refused.message,
            mend = refused.mend, "management request refused"),
        Ok(answer) if *method != Method::GET => tracing::info!(%tracking_id, %method, path, status = answer.status, "managed"),
        Ok(_) => {}
    }
    respond(outcome, tracking_id)
}

fn operations() -> Answer {
    let names = ["read", "write", "delete", "listKeys/action"].map(|verb| format!("Microsoft.Devices/provisioningServices/{verb}"));
    Answer::ok(json!({ "value": names.map(|name| json!({ "name": name })) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn management_paths_are_told_apart_from_the_others() {
        assert!(claims("/subscriptions/x/providers/Microsoft.Devices/provisioningServices"));
        assert!(claims("/providers/Microsoft.Devices/operations"));
        assert!(!claims("/enrollments/x") && !claims("/0ne1/registrations/d/register") && !claims("/"));
    }
}
