//! What is told of services, groups and the subscription, as Azure Resource Manager describes them.

use std::sync::Arc;

use serde_json::{Value, json};
use usher_domain::{enrollment::AllocationPolicy, resource::ResourceGroup, service::ProvisioningService};
use usher_records::Versioned;

use crate::{SUBSCRIPTION, Settings, hubs, resource_id};

/// A service (azure-rest-api-specs: ProvisioningServiceDescription). `resourcegroup` is read by azure-cli where no group is named.
/// Policies are left out: a list that comes back would replace them, and listkeys tells them.
pub fn service(found: &Versioned<Arc<ProvisioningService>>, settings: &Settings) -> Value {
    let (service, resource) = (&found.value, &found.value.resource);
    let allocation = match service.allocation {
        AllocationPolicy::GeoLatency => "GeoLatency",
        AllocationPolicy::Static => "Static",
        AllocationPolicy::Hashed | AllocationPolicy::Custom(_) => "Hashed",
    };
    json!({
        "id": resource_id(&resource.group, &service.name),
        "name": service.name,
        "type": "Microsoft.Devices/ProvisioningServices",
        "location": resource.location,
        "tags": resource.tags,
        "etag": etag(found.etag),
        "sku": { "name": "S1", "tier": "Standard", "capacity": resource.capacity },
        "resourcegroup": resource.group,
        "subscriptionid": SUBSCRIPTION,
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
            "iotHubs": service.hubs.iter().map(hubs::describe).collect::<Vec<_>>(),
            "allocationPolicy": allocation,
            "serviceOperationsHostName": settings.with_port(&service.host_name),
            "deviceProvisioningHostName": settings.device_host,
            "idScope": service.id_scope,
            "enableDataResidency": resource.data_residency,
        },
    })
}

/// An ETag as Azure Resource Manager writes it: bare.
pub fn etag(etag: u64) -> String {
    format!("{etag:016x}")
}

/// The one directory of users, as login tools look for it.
pub fn tenant() -> Value {
    json!({ "id": format!("/tenants/{SUBSCRIPTION}"), "tenantId": SUBSCRIPTION, "displayName": "usher" })
}

/// A hub, as far as clients need it to find its host name (azure-mgmt-iothub: IotHubDescription).
pub fn hub(name: &str, group: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Devices/IotHubs/{name}"),
        "name": name,
        "type": "Microsoft.Devices/IotHubs",
        "location": usher_domain::resource::DEFAULT_LOCATION,
        "resourcegroup": group,
        "subscriptionid": SUBSCRIPTION,
        "properties": { "hostName": name, "state": "Active", "provisioningState": "Succeeded" },
    })
}

/// The one subscription, as login tools look for it.
pub fn subscription() -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}"),
        "subscriptionId": SUBSCRIPTION,
        "tenantId": SUBSCRIPTION,
        "displayName": "usher",
        "state": "Enabled",
    })
}

/// A resource group.
pub fn group(group: &ResourceGroup) -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{}", group.name),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "tags": group.tags,
        "properties": { "provisioningState": "Succeeded" },
    })
}

/// A service among other resources (azure-rest-api-specs: GenericResourceExpanded).
pub fn resource(service: &ProvisioningService) -> Value {
    json!({
        "id": resource_id(&service.resource.group, &service.name),
        "name": service.name,
        "type": "Microsoft.Devices/ProvisioningServices",
        "location": service.resource.location,
        "tags": service.resource.tags,
    })
}

/// Azure's rule for a service's name.
pub fn is_name(name: &str) -> bool {
    (3..=50).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.bytes().all(|b| b.is_ascii_digit())
}
