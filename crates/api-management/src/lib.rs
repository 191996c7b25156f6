//! The management API: provisioning services as Azure Resource Manager exposes Microsoft.Devices/provisioningServices
//! (azure-mgmt-iothubprovisioningservices; azure-rest-api-specs: deviceprovisioningservices/resource-manager).
//!
//! Services can be read here, and their access keys listed; changing them is not offered yet and is refused by name.

mod answer;
mod describe;
mod route;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use serde_json::{Value, json};
use usher_domain::{
    Secret, TrackingId,
    clock::Entropy,
    service::{AccessPolicy, ProvisioningService},
};
use usher_registry::Directory;

use answer::{Refused, respond};
use route::Route;

/// The one subscription of an installation.
pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
/// Its one resource group.
pub const RESOURCE_GROUP: &str = "usher";

/// The management API of one node.
pub struct ManagementApi {
    directory: Arc<Directory>,
    entropy: Arc<dyn Entropy>,
    token: Secret,
    device_host: String,
}

/// The Azure resource ID of a service.
pub fn resource_id(service: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Devices/provisioningServices/{service}")
}

/// Whether a path belongs to the management API.
pub fn claims(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    ["subscriptions", "providers"].iter().any(|word| word.eq_ignore_ascii_case(first))
}

impl ManagementApi {
    /// The API over these services, for holders of `token`. `device_host` is the device endpoint's name, as answers tell it.
    pub fn new(directory: Arc<Directory>, entropy: Arc<dyn Entropy>, token: Secret, device_host: String) -> Self {
        Self { directory, entropy, token, device_host }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let tracking_id = TrackingId::from_random(random);
        let outcome = self.answer(&request).await;
        if let Err(refused) = &outcome {
            let path: String = request.uri().path().chars().take(300).collect();
            tracing::warn!(%tracking_id, method = %request.method(), path, check = refused.code, detail = refused.message,
                mend = refused.mend, "management request refused");
        }
        respond(outcome, &tracking_id)
    }

    async fn answer(&self, request: &Request<Bytes>) -> Result<Value, Refused> {
        self.authenticate(request)?;
        let query = request.uri().query().unwrap_or_default();
        if !query.split('&').any(|pair| pair.to_ascii_lowercase().starts_with("api-version=")) {
            return Err(Refused::bad("MissingApiVersionParameter", "The api-version query parameter is missing."));
        }
        let route = Route::of(request.uri().path())?;
        if *request.method() != route.method() {
            let why = format!("This path takes {} only: provisioning services cannot be changed through this API yet.", route.method());
            return Err(Refused { status: 405, ..Refused::bad("MethodNotAllowed", why) });
        }
        match route {
            Route::Operations => Ok(json!({ "value": [{ "name": "Microsoft.Devices/provisioningServices/read" }] })),
            Route::CheckName => self.check_name(request.body()).await,
            Route::List => {
                let services = self.directory.services().await?;
                Ok(json!({ "value": services.iter().map(|service| describe::service(service, &self.device_host)).collect::<Vec<_>>() }))
            }
            Route::Get(name) => Ok(describe::service(&*self.service(&name).await?, &self.device_host)),
            Route::Skus(name) => self.service(&name).await.map(|_| json!({ "value": [{ "name": "S1" }] })),
            Route::ListKeys(name) => {
                let service = self.service(&name).await?;
                Ok(json!({ "value": service.policies.iter().map(describe::policy).collect::<Vec<_>>() }))
            }
            Route::Key(name, policy) => {
                let service = self.service(&name).await?;
                let found = service.policies.iter().find(|found: &&AccessPolicy| found.name.eq_ignore_ascii_case(&policy));
                found.map(describe::policy).ok_or_else(|| Refused::missing(format!("There is no shared access policy {policy}.")))
            }
        }
    }

    /// Every request needs the token, whatever it asks for: a stranger must not learn which services there are.
    fn authenticate(&self, request: &Request<Bytes>) -> Result<(), Refused> {
        if self.admits(request.headers()) { Ok(()) } else { Err(Refused::unauthenticated()) }
    }

    /// Whether a request with these headers comes from a holder of the token.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let shown = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let expected = self.token.expose().as_bytes();
        shown.is_some_and(|token| aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), expected).is_ok())
    }

    async fn service(&self, name: &str) -> Result<Arc<ProvisioningService>, Refused> {
        let found = self.directory.by_name(name).await?;
        found.map(|tenant| tenant.service).ok_or_else(|| Refused::missing(format!("There is no provisioning service {name}.")))
    }

    async fn check_name(&self, body: &[u8]) -> Result<Value, Refused> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = asked["name"].as_str().ok_or_else(|| Refused::bad("InvalidRequestContent", "The body must be {\"name\": \"…\"}."))?;
        let taken: BTreeSet<String> = self.directory.services().await?.iter().map(|service| service.name.to_ascii_lowercase()).collect();
        if !describe::is_name(name) {
            let message = "A name has 3 to 50 letters, digits and hyphens, neither digits alone nor a hyphen at an end.";
            return Ok(json!({ "nameAvailable": false, "reason": "Invalid", "message": message }));
        }
        if taken.contains(&name.to_ascii_lowercase()) {
            return Ok(json!({ "nameAvailable": false, "reason": "AlreadyExists", "message": format!("The name {name} is taken.") }));
        }
        Ok(json!({ "nameAvailable": true }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    #[test]
    fn management_paths_are_told_apart_from_the_others() {
        assert!(claims("/subscriptions/x/providers/Microsoft.Devices/provisioningServices"));
        assert!(claims("/providers/Microsoft.Devices/operations"));
        assert!(!claims("/enrollments/x") && !claims("/0ne1/registrations/d/register") && !claims("/"));
        let Ok(Route::Get(name)) = Route::of(&resource_id("dev")) else { panic!("a service") };
        assert_eq!((name.as_str(), Method::GET), ("dev", Route::Get(name.clone()).method()));
    }
}
