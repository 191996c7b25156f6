//! The one provisioning service that `usher dev` begins with, and its hubs.

use usher_domain::{
    HubName,
    clock::Entropy,
    enrollment::AllocationPolicy,
    service::{HubConnection, LinkedHub, ProvisioningService, ResourceMetadata},
};
use usher_hub_embedded::EmbeddedHubs;
use usher_registry::{Directory, Tenant};

use super::{DevOptions, ground::unreadable};
use crate::{StartError, links, wiring};

/// The service of the wanted name, made on the first start; later starts link hubs that are new.
pub async fn ensure_service(
    directory: &Directory,
    hubs: &EmbeddedHubs,
    options: &DevOptions,
    entropy: &dyn Entropy,
) -> Result<Tenant, StartError> {
    let found = directory.by_name(&options.name).await.map_err(|error| unreadable(&error))?;
    let mut wanted = options.hubs.clone();
    if wanted.is_empty() && found.is_none() {
        let default = HubName::parse("localhost").map_err(|error| StartError::internal("the default hub", &error))?;
        wanted.push((default, "local".into()));
    }
    for (name, _) in &wanted {
        hubs.ensure(name).await.map_err(|error| StartError::internal("making a hub", &error))?;
    }
    let tenant = match found {
        None => directory.create(new_service(options, wanted, entropy)?).await.map_err(refused)?,
        Some(tenant) => link_new_hubs(directory, tenant, options, wanted).await?,
    };
    links::ensure(directory, tenant, &options.links).await
}

/// A service that the registry does not take.
pub fn refused(error: usher_domain::ServiceError) -> StartError {
    StartError::new(format!("the provisioning service cannot be set up: {}", error.message), "Correct the option that is named.")
}

fn new_service(options: &DevOptions, hubs: Vec<(HubName, String)>, entropy: &dyn Entropy) -> Result<ProvisioningService, StartError> {
    let id_scope = match &options.id_scope {
        Some(scope) => scope.clone(),
        None => wiring::new_id_scope(entropy)?,
    };
    Ok(ProvisioningService {
        name: options.name.clone(),
        tenant: 0,
        id_scope,
        host_name: "localhost".into(),
        policies: vec![wiring::owner(entropy)],
        hubs: hubs.into_iter().map(|(name, region)| linked(name, region)).collect(),
        allocation: AllocationPolicy::Hashed,
        resource: ResourceMetadata::default(),
        limits: options.limits,
    })
}

fn linked(name: HubName, region: String) -> LinkedHub {
    LinkedHub { name, region, weight: 1, apply_allocation_policy: true, connection: HubConnection::Embedded }
}

async fn link_new_hubs(
    directory: &Directory,
    tenant: Tenant,
    options: &DevOptions,
    wanted: Vec<(HubName, String)>,
) -> Result<Tenant, StartError> {
    if let Some(scope) = &options.id_scope
        && !scope.as_str().eq_ignore_ascii_case(tenant.service.id_scope.as_str())
    {
        let what = format!("this state folder's service {} has the ID scope {}, not {scope}", options.name, tenant.service.id_scope);
        return Err(StartError::new(what, "An ID scope never changes: leave --id-scope out, or start with a new folder (--state)."));
    }
    let new: Vec<_> = wanted.into_iter().filter(|(name, _)| tenant.service.hub(name).is_none()).collect();
    let stored = directory.service(&options.name).await.map_err(|error| unreadable(&error))?;
    if let (false, Some(mut stored)) = (new.is_empty(), stored) {
        stored.value.hubs.extend(new.into_iter().map(|(name, region)| linked(name, region)));
        directory.update(stored.value, stored.etag).await.map_err(refused)?;
    }
    let found = directory.by_name(&options.name).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| StartError::internal("the service", &"it is gone"))
}
