//! From the description that clients send to the service that shall be kept. What is left out stays as it was, and has its default in a
//! new service; so clients of every API version can write back what they read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use usher_domain::{
    ErrorCode, IdScope, ServiceError,
    clock::Entropy,
    enrollment::AllocationPolicy,
    ids::hex,
    service::{ProvisioningService, ResourceMetadata},
};

use crate::{
    Settings, Site,
    hubs::{self, HubBody},
    policies::{self, PolicyBody},
    route::Place,
};

/// Limits of Azure Resource Manager's tags.
const TAGS_MAX: usize = 50;
const TAG_NAME_CHARS_MAX: usize = 512;
const TAG_VALUE_CHARS_MAX: usize = 256;
/// Longest location, in characters.
const LOCATION_CHARS_MAX: usize = 64;
/// Most units of the tier.
const CAPACITY_MAX: u32 = 10_000;

/// A provisioning service as clients send it (azure-rest-api-specs: ProvisioningServiceDescription).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    location: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    sku: Option<Sku>,
    #[serde(default)]
    properties: Option<Properties>,
    identity: Option<Value>,
}

#[derive(Deserialize)]
struct Sku {
    name: Option<String>,
    capacity: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    iot_hubs: Option<Vec<HubBody>>,
    allocation_policy: Option<String>,
    authorization_policies: Option<Vec<PolicyBody>>,
    enable_data_residency: Option<bool>,
    id_scope: Option<String>,
    service_operations_host_name: Option<String>,
    public_network_access: Option<String>,
    ip_filter_rules: Option<Vec<Value>>,
    private_endpoint_connections: Option<Vec<Value>>,
    disable_local_auth: Option<bool>,
}

/// What a description is read against.
pub struct Context<'a> {
    /// Where it is to be.
    pub place: &'a Place,
    /// The installation's defaults.
    pub settings: &'a Settings,
    /// Which hubs are in this process.
    pub site: &'a dyn Site,
    /// Chance, for keys and ID scopes.
    pub entropy: &'a dyn Entropy,
}

impl Description {
    /// Reads a body. The reason of a failure tells the place and never quotes, since bodies hold keys.
    pub fn from_json(body: &[u8]) -> Result<Self, ServiceError> {
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(invalid("The body must be a provisioning service as a JSON object."));
        }
        serde_json::from_slice(body).map_err(|why| {
            let (line, column) = (why.line(), why.column());
            invalid(format!("The body is not a provisioning service as JSON; the fault is at line {line}, column {column}."))
        })
    }

    /// The service that this means: a new one, or `old` changed.
    pub fn apply(&self, old: Option<&ProvisioningService>, context: &Context<'_>) -> Result<ProvisioningService, ServiceError> {
        let none = Properties::default();
        let properties = self.properties.as_ref().unwrap_or(&none);
        self.refuse_unkept(properties)?;
        let mut service = match old {
            Some(old) => properties.same_names(old, context)?,
            None => properties.new_service(context)?,
        };
        service.resource = self.resource(old, context)?;
        if let Some(hubs) = &properties.iot_hubs {
            service.hubs = hubs::read(hubs, &service.hubs, context.site)?;
        }
        if let Some(policies) = &properties.authorization_policies {
            service.policies = policies::read(policies, context.entropy)?;
        }
        if let Some(text) = &properties.allocation_policy {
            service.allocation = allocation(text)?;
        }
        Ok(service)
    }

    /// What would promise a protection that is not given is refused rather than forgotten.
    fn refuse_unkept(&self, properties: &Properties) -> Result<(), ServiceError> {
        let some = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let identity = self.identity.as_ref().and_then(|identity| identity.get("type")).and_then(Value::as_str);
        let unkept = [
            ("publicNetworkAccess other than Enabled", properties.public_network_access.as_deref().is_some_and(|it| it != "Enabled")),
            ("ipFilterRules", some(&properties.ip_filter_rules)),
            ("privateEndpointConnections", some(&properties.private_endpoint_connections)),
            ("disableLocalAuth", properties.disable_local_auth == Some(true)),
            ("identity", identity.is_some_and(|kind| !kind.eq_ignore_ascii_case("None"))),
        ];
        match unkept.into_iter().find(|(_, wanted)| *wanted) {
            Some((what, _)) => Err(invalid(format!("This service cannot carry out {what}. Leave it out."))),
            None => Ok(()),
        }
    }

    fn resource(&self, old: Option<&ProvisioningService>, context: &Context<'_>) -> Result<ResourceMetadata, ServiceError> {
        let fresh = ResourceMetadata { group: context.place.group.clone(), ..ResourceMetadata::default() };
        let mut resource = old.map_or(fresh, |old| old.resource.clone());
        match (&self.location, old) {
            (Some(location), Some(_)) if !same_location(location, &resource.location) => {
                let why = format!("The location of a service cannot change: it is {}.", resource.location);
                return Err(ServiceError::with(ErrorCode::Conflict, why));
            }
            (Some(location), None) => resource.location = checked_location(location)?,
            (None, None) => return Err(invalid("A new service needs a location; any text will do, for example local.")),
            _ => {}
        }
        if let Some(tags) = &self.tags {
            resource.tags = checked_tags(tags)?;
        }
        if let Some(sku) = &self.sku {
            resource.capacity = sku.checked()?.unwrap_or(resource.capacity);
        }
        let wanted = self.properties.as_ref().and_then(|properties| properties.enable_data_residency);
        resource.data_residency = wanted.unwrap_or(resource.data_residency);
        Ok(resource)
    }
}

impl Sku {
    fn checked(&self) -> Result<Option<u32>, ServiceError> {
        if self.name.as_deref().is_some_and(|name| !name.eq_ignore_ascii_case("S1")) {
            return Err(invalid("The one tier is S1."));
        }
        match self.capacity {
            Some(capacity) if capacity == 0 || capacity > CAPACITY_MAX => {
                Err(invalid(format!("The capacity must be 1 to {CAPACITY_MAX}.")))
            }
            given => Ok(given),
        }
    }
}

impl Properties {
    /// A service with nothing but its names, a policy and defaults. ID scope and host name are read-only in the cloud; here a new
    /// service may be given those that its devices were flashed with.
    fn new_service(&self, context: &Context<'_>) -> Result<ProvisioningService, ServiceError> {
        let host = match given(&self.service_operations_host_name) {
            Some(host) => without_port(host).to_ascii_lowercase(),
            None => format!("{}.{}", context.place.name, context.settings.domain).to_ascii_lowercase(),
        };
        let id_scope = match given(&self.id_scope) {
            Some(scope) => IdScope::parse(scope),
            None => IdScope::parse(&new_scope(context.entropy)),
        };
        Ok(ProvisioningService {
            name: context.place.name.clone(),
            tenant: 0,
            id_scope: id_scope.map_err(|why| invalid(format!("idScope: {why}.")))?,
            host_name: host,
            policies: vec![policies::owner(context.entropy)],
            hubs: Vec::new(),
            allocation: AllocationPolicy::Hashed,
            resource: ResourceMetadata::default(),
            limits: context.settings.limits,
        })
    }

    fn same_names(&self, old: &ProvisioningService, context: &Context<'_>) -> Result<ProvisioningService, ServiceError> {
        if !old.resource.group.eq_ignore_ascii_case(&context.place.group) {
            let why = format!("The name {} belongs to a service in the resource group {}.", old.name, old.resource.group);
            return Err(ServiceError::with(ErrorCode::Conflict, why));
        }
        let changed = |sent: &Option<String>, kept: &str| given(sent).is_some_and(|sent| !without_port(sent).eq_ignore_ascii_case(kept));
        if changed(&self.id_scope, old.id_scope.as_str()) {
            return Err(invalid(format!("An ID scope never changes: it is {}.", old.id_scope)));
        }
        if changed(&self.service_operations_host_name, &old.host_name) {
            return Err(invalid(format!("serviceOperationsHostName cannot change: it is {}.", old.host_name)));
        }
        Ok(old.clone())
    }
}

/// A new ID scope in the cloud's form: `0ne` and eight hex digits.
fn new_scope(entropy: &dyn Entropy) -> String {
    let mut random = [0; 4];
    entropy.fill(&mut random);
    format!("0ne{}", hex(&random).to_ascii_uppercase())
}

fn allocation(text: &str) -> Result<AllocationPolicy, ServiceError> {
    match text {
        _ if text.eq_ignore_ascii_case("Hashed") => Ok(AllocationPolicy::Hashed),
        _ if text.eq_ignore_ascii_case("GeoLatency") => Ok(AllocationPolicy::GeoLatency),
        _ if text.eq_ignore_ascii_case("Static") => Ok(AllocationPolicy::Static),
        _ => Err(invalid("A service's allocationPolicy is Hashed, GeoLatency or Static.")),
    }
}

/// A location within its limits.
pub fn checked_location(text: &str) -> Result<String, ServiceError> {
    let good = (1..=LOCATION_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(invalid(format!("The location must have 1 to {LOCATION_CHARS_MAX} printable characters."))) }
}

/// `West Europe` and `westeurope` are one place (azure-cli sends either).
fn same_location(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    bare(a) == bare(b)
}

/// Tags within the limits of Azure Resource Manager.
pub fn checked_tags(tags: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ServiceError> {
    let long = |(name, value): (&String, &String)| {
        name.is_empty() || name.chars().count() > TAG_NAME_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX
    };
    if tags.len() > TAGS_MAX || tags.iter().any(long) {
        let why = format!(
            "There can be {TAGS_MAX} tags, with names of 1 to {TAG_NAME_CHARS_MAX} characters and values of up to {TAG_VALUE_CHARS_MAX}."
        );
        return Err(invalid(why));
    }
    Ok(tags.clone())
}

fn given(member: &Option<String>) -> Option<&str> {
    member.as_deref().filter(|text| !text.is_empty())
}

fn without_port(host: &str) -> &str {
    host.split_once(':').map_or(host, |(host, _)| host)
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(ErrorCode::BadRequest, why)
}
