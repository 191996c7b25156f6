//! What a provisioning service must be like to be kept.

use std::collections::BTreeSet;

use usher_attestation::sas::check_key;
use usher_domain::{
    ErrorCode, HubName, ServiceError,
    enrollment::AllocationPolicy,
    limits::{LINKED_HUBS_MAX, POLICIES_MAX},
    service::ProvisioningService,
};

/// Longest service name and policy name, in characters (Azure resource names: 64).
const NAME_CHARS_MAX: usize = 64;

/// Checks everything about a service that does not depend on others.
pub(super) fn check(service: &ProvisioningService) -> Result<(), ServiceError> {
    check_name("service name", &service.name, b"-")?;
    // A host name follows the same rules as a hub's.
    HubName::parse(&service.host_name).map_err(|why| invalid(format!("The host name of the service API: {why}.")))?;
    check_policies(service)?;
    check_hubs(service)?;
    match service.allocation {
        AllocationPolicy::Custom(_) => Err(invalid("A service's own allocation policy is hashed, geoLatency or static.")),
        _ => Ok(()),
    }
}

fn check_policies(service: &ProvisioningService) -> Result<(), ServiceError> {
    if service.policies.len() > POLICIES_MAX {
        return Err(invalid(format!("A service can have at most {POLICIES_MAX} shared access policies.")));
    }
    let mut names = BTreeSet::new();
    for policy in &service.policies {
        check_name("policy name", &policy.name, b"!#$%&'*+-._|~")?;
        if !names.insert(policy.name.to_ascii_lowercase()) {
            return Err(invalid(format!("There are two shared access policies named {}.", policy.name)));
        }
        for key in [&policy.primary, &policy.secondary] {
            check_key(key.expose()).map_err(|why| invalid(format!("Policy {}: {why}.", policy.name)))?;
        }
    }
    Ok(())
}

fn check_hubs(service: &ProvisioningService) -> Result<(), ServiceError> {
    if service.hubs.len() > LINKED_HUBS_MAX {
        return Err(invalid(format!("A service can have at most {LINKED_HUBS_MAX} linked hubs.")));
    }
    let mut names = BTreeSet::new();
    match service.hubs.iter().find(|hub| !names.insert(&hub.name)) {
        Some(hub) => Err(invalid(format!("The hub {} is linked twice.", hub.name))),
        None => Ok(()),
    }
}

fn check_name(what: &str, name: &str, extra: &[u8]) -> Result<(), ServiceError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || extra.contains(&b);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(allowed) {
        let extra = String::from_utf8_lossy(extra);
        return Err(invalid(format!("The {what} must have 1 to {NAME_CHARS_MAX} letters, digits or {extra}")));
    }
    Ok(())
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(ErrorCode::BadRequest, why)
}
