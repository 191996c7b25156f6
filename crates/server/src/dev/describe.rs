//! What clients need to know of a running `usher dev`.

use std::sync::Arc;

use usher_domain::{
    Secret,
    service::{LinkedHub, ProvisioningService},
};
use usher_hub_embedded::EmbeddedHubs;
use usher_registry::Tenant;

use super::{DEVICE_HOST, DevOptions, TRUST};
use crate::{
    StartError,
    manifest::{DeviceEndpoint, HubEndpoint, ManagementEndpoint, Manifest, ServiceEndpoint},
};

/// Every name under which clients may reach this server.
pub fn server_names(options: &DevOptions, hubs: &EmbeddedHubs, services: &[Arc<ProvisioningService>]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(services.iter().map(|service| service.host_name.clone()));
    names.extend(hubs.names().iter().map(|name| name.to_string()));
    names.extend(options.bind.iter().filter(|address| !address.is_unspecified()).map(|address| address.to_string()));
    names
}

/// What `dev.json` says.
pub fn manifest(tenant: &Tenant, hubs: &EmbeddedHubs, token: &Secret, [https, mqtts, amqps]: [u16; 3]) -> Result<Manifest, StartError> {
    // SDKs take a host name as it stands, port included, and assume 443 without one.
    let with_port = |host: &str| if https == 443 { host.to_owned() } else { format!("{host}:{https}") };
    let service = &tenant.service;
    let policy = service.policies.first().ok_or_else(|| StartError::internal("the service", &"it has no access policy"))?;
    let connection_string = format!(
        "HostName={};SharedAccessKeyName={};SharedAccessKey={}",
        with_port(&service.host_name),
        policy.name,
        policy.primary.expose()
    );
    let hub_endpoint = |linked: &LinkedHub| {
        let hub = hubs.get(&linked.name)?;
        let owner = hub.policies().into_iter().next()?;
        let connection_string = owner.connection_string(&with_port(linked.name.as_str())).expose().to_owned();
        Some(HubEndpoint { host_name: linked.name.to_string(), connection_string })
    };
    Ok(Manifest {
        id_scope: service.id_scope.to_string(),
        device: DeviceEndpoint { host: DEVICE_HOST.into(), https, mqtts, amqps },
        service: ServiceEndpoint { connection_string },
        management: ManagementEndpoint {
            url: format!("https://{}", with_port(DEVICE_HOST)),
            token: token.expose().to_owned(),
            resource_id: usher_api_management::resource_id_of(service),
        },
        hubs: service.hubs.iter().filter_map(hub_endpoint).collect(),
        trust: TRUST.into(),
        console: format!("https://{}/", with_port(DEVICE_HOST)),
    })
}
