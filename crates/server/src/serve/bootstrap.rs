//! The first provisioning service, from the configuration: made where there is none of its name, its hubs linked where they are new.
//! Several nodes may do this at once; one of them wins, and the others find it done.

use usher_domain::{
    ErrorCode, HubName, ServiceError,
    clock::Entropy,
    enrollment::AllocationPolicy,
    service::{HubConnection, LinkedHub, ProvisioningService, ResourceMetadata},
};
use usher_registry::Directory;

use super::settings::FirstService;
use crate::{StartError, wiring};

/// Tries while other nodes do the same.
const TRIES_MAX: usize = 10;

/// Sees to it that the service is there.
pub async fn ensure(directory: &Directory, wanted: &FirstService, entropy: &dyn Entropy) -> Result<(), StartError> {
    let mut last = ServiceError::new(ErrorCode::Internal);
    for _ in 0..TRIES_MAX {
        let found = directory.service(&wanted.name).await.map_err(|error| super::unreadable(&error))?;
        let outcome = match found {
            None => directory.create(new(wanted, entropy)?).await.map(drop),
            Some(found) => {
                refuse_another_scope(&found.value, wanted)?;
                match brought_up(&found.value, wanted) {
                    None => return Ok(()),
                    Some(changed) => directory.update(changed, found.etag).await.map(drop),
                }
            }
        };
        match outcome {
            Ok(()) => return Ok(()),
            // Another node was faster: look at what it did.
            Err(error) if matches!(error.code.status(), 409 | 412 | 429 | 500) => last = error,
            Err(error) => return Err(refused(&error)),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(refused(&last))
}

fn refused(error: &ServiceError) -> StartError {
    StartError::new(format!("the provisioning service cannot be set up: {}", error.message), "Correct [service] in the configuration.")
}

fn refuse_another_scope(stored: &ProvisioningService, wanted: &FirstService) -> Result<(), StartError> {
    match &wanted.id_scope {
        Some(scope) if !scope.as_str().eq_ignore_ascii_case(stored.id_scope.as_str()) => {
            let what = format!("the service {} has the ID scope {}, not {scope}", stored.name, stored.id_scope);
            Err(StartError::new(what, "An ID scope never changes: correct or leave out service.id_scope."))
        }
        _ => Ok(()),
    }
}

fn new(wanted: &FirstService, entropy: &dyn Entropy) -> Result<ProvisioningService, StartError> {
    let id_scope = match &wanted.id_scope {
        Some(scope) => scope.clone(),
        None => wiring::new_id_scope(entropy)?,
    };
    Ok(ProvisioningService {
        name: wanted.name.clone(),
        tenant: 0,
        id_scope,
        host_name: wanted.host_name.clone(),
        policies: vec![wiring::owner(entropy)],
        hubs: wanted.hubs.iter().map(linked).collect(),
        allocation: AllocationPolicy::Hashed,
        resource: ResourceMetadata::default(),
        limits: wanted.limits,
    })
}

fn linked((name, connection, region): &(HubName, HubConnection, String)) -> LinkedHub {
    LinkedHub { name: name.clone(), region: region.clone(), weight: 1, apply_allocation_policy: true, connection: connection.clone() }
}

/// The service with hubs linked that are new, and connections that have changed; `None` where it is so already. What else was changed
/// through the management API stays.
fn brought_up(stored: &ProvisioningService, wanted: &FirstService) -> Option<ProvisioningService> {
    let mut service = stored.clone();
    for hub in &wanted.hubs {
        match service.hubs.iter_mut().find(|linked| linked.name == hub.0) {
            Some(linked) => linked.connection = hub.1.clone(),
            None => service.hubs.push(linked(hub)),
        }
    }
    (service != *stored).then_some(service)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use usher_domain::{IdScope, Secret, service_limits::ServiceLimits};
    use usher_seal::MasterKey;
    use usher_store::memory::MemoryStore;

    use super::*;
    use crate::ambient::SystemEntropy;

    fn wanted(hubs: &[(&str, &str)]) -> FirstService {
        let hub = |(name, key): &(&str, &str)| {
            let text = Secret::new(format!("HostName={name};SharedAccessKeyName=o;SharedAccessKey={key}"));
            (HubName::parse(name).unwrap(), HubConnection::IotHub { connection_string: text }, "local".to_owned())
        };
        FirstService {
            name: "factory".into(),
            id_scope: Some(IdScope::parse("0ne00000001").unwrap()),
            host_name: "dps.example.com".into(),
            limits: ServiceLimits::DPS,
            hubs: hubs.iter().map(hub).collect(),
        }
    }

    #[tokio::test]
    async fn it_is_made_once_and_brought_up_to_the_configuration_later() {
        let directory = Directory::open(Arc::new(MemoryStore::default()), MasterKey::generate().unwrap()).await.unwrap();
        ensure(&directory, &wanted(&[("a.example", "a2V5")]), &SystemEntropy).await.unwrap();
        let made = directory.service("factory").await.unwrap().unwrap();
        ensure(&directory, &wanted(&[("a.example", "a2V5")]), &SystemEntropy).await.unwrap();
        assert_eq!(directory.service("factory").await.unwrap().unwrap().etag, made.etag, "nothing was to be changed");
        ensure(&directory, &wanted(&[("a.example", "bmV3"), ("b.example", "a2V5")]), &SystemEntropy).await.unwrap();
        let service = directory.service("factory").await.unwrap().unwrap().value;
        assert_eq!(service.hubs, wanted(&[("a.example", "bmV3"), ("b.example", "a2V5")]).hubs.iter().map(linked).collect::<Vec<_>>());
        assert_eq!(service.policies, made.value.policies, "its keys stay");
        let other = FirstService { id_scope: Some(IdScope::parse("0ne00000002").unwrap()), ..wanted(&[]) };
        let why = ensure(&directory, &other, &SystemEntropy).await.unwrap_err().to_string();
        assert!(why.contains("0ne00000001") && why.contains("never changes"), "{why}");
    }
}
