//! A service as Azure Resource Manager describes it (azure-rest-api-specs: ProvisioningServiceDescription).

use serde_json::{Value, json};
use usher_domain::{
    enrollment::AllocationPolicy,
    service::{AccessPolicy, LinkedHub, ProvisioningService, Right},
};

use crate::{RESOURCE_GROUP, SUBSCRIPTION, resource_id};

/// The whole description. `resourcegroup` is read by azure-cli where no group is named.
pub fn service(service: &ProvisioningService, device_host: &str) -> Value {
    let allocation = match service.allocation {
        AllocationPolicy::GeoLatency => "GeoLatency",
        AllocationPolicy::Static => "Static",
        AllocationPolicy::Hashed | AllocationPolicy::Custom(_) => "Hashed",
    };
    json!({
        "id": resource_id(&service.name),
        "name": service.name,
        "type": "Microsoft.Devices/ProvisioningServices",
        "location": "local",
        "tags": {},
        "sku": { "name": "S1", "tier": "Standard", "capacity": 1 },
        "resourcegroup": RESOURCE_GROUP,
        "subscriptionid": SUBSCRIPTION,
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "publicNetworkAccess": "Enabled",
            "iotHubs": service.hubs.iter().map(hub).collect::<Vec<_>>(),
            "allocationPolicy": allocation,
            "serviceOperationsHostName": service.host_name,
            "deviceProvisioningHostName": device_host,
            "idScope": service.id_scope,
        },
    })
}

/// A linked hub, its key masked.
fn hub(hub: &LinkedHub) -> Value {
    json!({
        "name": hub.name,
        "connectionString": format!("HostName={};SharedAccessKeyName=iothubowner;SharedAccessKey=****", hub.name),
        "location": hub.region,
        "applyAllocationPolicy": hub.apply_allocation_policy,
        "allocationWeight": hub.weight,
    })
}

/// A shared access policy with its keys. Rights are joined by comma and space: azure-iot-cli-extension splits there
/// (azext_iot/common/base_discovery.py).
pub fn policy(policy: &AccessPolicy) -> Value {
    let rights: Vec<&str> = policy.rights.iter().copied().map(right).collect();
    json!({
        "keyName": policy.name,
        "primaryKey": policy.primary.expose(),
        "secondaryKey": policy.secondary.expose(),
        "rights": rights.join(", "),
    })
}

fn right(right: Right) -> &'static str {
    match right {
        Right::ServiceConfig => "ServiceConfig",
        Right::EnrollmentRead => "EnrollmentRead",
        Right::EnrollmentWrite => "EnrollmentWrite",
        Right::DeviceConnect => "DeviceConnect",
        Right::RegistrationStatusRead => "RegistrationStatusRead",
        Right::RegistrationStatusWrite => "RegistrationStatusWrite",
    }
}

/// Azure's rule for a service's name.
pub fn is_name(name: &str) -> bool {
    (3..=50).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.bytes().all(|b| b.is_ascii_digit())
}
