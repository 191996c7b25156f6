//! Reading services, their keys and their usage.

use std::{collections::BTreeSet, sync::Arc};

use http::Request;
use serde_json::{Value, json};
use usher_domain::service::{AccessPolicy, ProvisioningService};
use usher_records::Versioned;
use usher_registry::Tenant;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    describe, policies,
    route::Place,
};

/// What a name must be like.
pub const NAME_RULE: &str = "A name has 3 to 50 letters, digits and hyphens, neither digits alone nor a hyphen at an end.";
/// Months of usage told where the client names no number.
const MONTHS_DEFAULT: usize = 12;

impl ManagementApi {
    /// All services, or those of a group.
    pub(crate) async fn services(&self, group: Option<&str>) -> Result<Answer, Refused> {
        let all = self.ports.directory.services_with_etags().await?;
        let wanted = all.iter().filter(|found| group.is_none_or(|group| found.value.resource.group.eq_ignore_ascii_case(group)));
        Ok(Answer::ok(json!({ "value": wanted.map(|found| describe::service(found, &self.settings)).collect::<Vec<_>>() })))
    }

    /// The hubs that are linked to any service, each under its host name and no more: azure-cli looks here for a hub that is named without
    /// a dot, such as `localhost`, before it shows, changes or unlinks it.
    pub(crate) async fn hub_names(&self) -> Result<Answer, Refused> {
        let all = self.ports.directory.services_with_etags().await?;
        let hubs =
            all.iter().flat_map(|found| found.value.hubs.iter().map(|hub| (hub.name.to_string(), found.value.resource.group.clone())));
        let mut seen = BTreeSet::new();
        let once = hubs.filter(|(name, _)| seen.insert(name.clone()));
        Ok(Answer::ok(json!({ "value": once.map(|(name, group)| describe::hub(&name, &group)).collect::<Vec<_>>() })))
    }

    /// One service.
    pub(crate) async fn service(&self, place: &Place) -> Result<Answer, Refused> {
        Ok(Answer::ok(describe::service(&self.found(place).await?, &self.settings)))
    }

    /// The tiers: one.
    pub(crate) async fn skus(&self, place: &Place) -> Result<Answer, Refused> {
        self.found(place).await.map(|_| Answer::ok(json!({ "value": [{ "name": "S1" }] })))
    }

    /// All policies with their keys.
    pub(crate) async fn keys(&self, place: &Place) -> Result<Answer, Refused> {
        let found = self.found(place).await?;
        Ok(Answer::ok(json!({ "value": found.value.policies.iter().map(policies::describe).collect::<Vec<_>>() })))
    }

    /// One policy with its keys.
    pub(crate) async fn key(&self, place: &Place, name: &str) -> Result<Answer, Refused> {
        let found = self.found(place).await?;
        let policy = found.value.policies.iter().find(|found: &&AccessPolicy| found.name.eq_ignore_ascii_case(name));
        let policy = policy.ok_or_else(|| Refused::missing(format!("There is no shared access policy {name:.64}.")))?;
        Ok(Answer::ok(policies::describe(policy)))
    }

    /// How an operation ended. Every change is complete when it is answered; its operation is named by the ETag that it left.
    pub(crate) async fn operation_result(&self, place: &Place, id: &str) -> Result<Answer, Refused> {
        let found = self.found(place).await?;
        if id.eq_ignore_ascii_case(&describe::etag(found.etag)) {
            return Ok(Answer::ok(json!({ "status": "Succeeded" })));
        }
        Err(Refused::missing("There is no such operation. Changes are complete when they are answered; read the service itself."))
    }

    /// Metered operations by month, the present one first; `months` in the query says how many.
    pub(crate) async fn usage<B>(&self, place: &Place, request: &Request<B>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let query = request.uri().query().unwrap_or_default();
        let months = query.split('&').find_map(|pair| pair.strip_prefix("months="));
        let months = months.map_or(Ok(MONTHS_DEFAULT), str::parse);
        let months = months.map_err(|_| Refused::bad("InvalidParameter", "months must be a number."))?;
        let used = tenant.registry.usage_by_months(self.ports.clock.now(), months).await?;
        let told: Vec<Value> = used.into_iter().map(|(month, operations)| json!({ "month": month, "operations": operations })).collect();
        Ok(Answer::ok(json!({ "name": tenant.service.name, "value": told })))
    }

    /// Whether a name is free.
    pub(crate) async fn check_name(&self, body: &[u8]) -> Result<Answer, Refused> {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = asked["name"].as_str().ok_or_else(|| Refused::bad("InvalidRequestContent", "The body must be {\"name\": \"…\"}."))?;
        if !describe::is_name(name) {
            return Ok(Answer::ok(json!({ "nameAvailable": false, "reason": "Invalid", "message": NAME_RULE })));
        }
        if self.ports.directory.by_name(name).await?.is_some() {
            let message = format!("The name {name} is taken.");
            return Ok(Answer::ok(json!({ "nameAvailable": false, "reason": "AlreadyExists", "message": message })));
        }
        Ok(Answer::ok(json!({ "nameAvailable": true })))
    }

    pub(crate) async fn found(&self, place: &Place) -> Result<Versioned<Arc<ProvisioningService>>, Refused> {
        let found = self.ports.directory.service(&place.name).await?;
        let found = found.filter(|found| is_at(&found.value, place)).ok_or_else(|| nowhere(place))?;
        Ok(Versioned { value: Arc::new(found.value), etag: found.etag })
    }

    pub(crate) async fn tenant(&self, place: &Place) -> Result<Tenant, Refused> {
        let found = self.ports.directory.by_name(&place.name).await?;
        found.filter(|tenant| is_at(&tenant.service, place)).ok_or_else(|| nowhere(place))
    }
}

fn is_at(service: &ProvisioningService, place: &Place) -> bool {
    service.resource.group.eq_ignore_ascii_case(&place.group)
}

fn nowhere(place: &Place) -> Refused {
    Refused::missing(format!("There is no provisioning service {:.64} in the resource group {}.", place.name, place.group))
}
