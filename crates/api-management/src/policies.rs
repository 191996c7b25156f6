//! Shared access policies, as clients send them and as they are told.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use usher_domain::{
    ErrorCode, Secret, ServiceError,
    clock::Entropy,
    service::{AccessPolicy, Right},
};

/// The policy that a new service has, as in the cloud.
const OWNER: &str = "provisioningserviceowner";
/// Bytes of a generated key, as the cloud generates them for shared access policies.
const KEY_BYTES: usize = 32;

/// A policy as clients send it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyBody {
    key_name: Option<String>,
    primary_key: Option<String>,
    secondary_key: Option<String>,
    rights: Option<String>,
}

/// What a new service begins with.
pub fn owner(entropy: &dyn Entropy) -> AccessPolicy {
    AccessPolicy { name: OWNER.into(), primary: new_key(entropy), secondary: new_key(entropy), rights: Right::ALL.to_vec() }
}

/// Reads the full list that replaces what there was. A key left out is made anew: so azure-cli asks for a regeneration
/// (azure/cli/command_modules/iot/custom.py: iot_dps_policy_update).
pub fn read(policies: &[PolicyBody], entropy: &dyn Entropy) -> Result<Vec<AccessPolicy>, ServiceError> {
    if policies.is_empty() {
        return Err(invalid("A service needs at least one shared access policy: without one nobody could use its service API."));
    }
    policies.iter().map(|policy| read_one(policy, entropy)).collect()
}

fn read_one(policy: &PolicyBody, entropy: &dyn Entropy) -> Result<AccessPolicy, ServiceError> {
    let name = policy.key_name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("A shared access policy needs a keyName."))?;
    let rights = rights(policy.rights.as_deref().unwrap_or_default()).map_err(|why| invalid(format!("Policy {name:.64}: {why}")))?;
    let key = |sent: &Option<String>| match sent.as_deref() {
        Some(key) if !key.is_empty() => Secret::new(key),
        _ => new_key(entropy),
    };
    Ok(AccessPolicy { name, primary: key(&policy.primary_key), secondary: key(&policy.secondary_key), rights })
}

/// A policy with its keys. Rights are joined by comma and space: azure-iot-cli-extension splits there
/// (azext_iot/common/base_discovery.py).
pub fn describe(policy: &AccessPolicy) -> Value {
    let rights: Vec<&str> = policy.rights.iter().copied().map(word).collect();
    json!({
        "keyName": policy.name,
        "primaryKey": policy.primary.expose(),
        "secondaryKey": policy.secondary.expose(),
        "rights": rights.join(", "),
    })
}

/// Rights in any order and case, each kept once, in the order of [`Right::ALL`].
fn rights(text: &str) -> Result<Vec<Right>, String> {
    let wanted: Vec<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let names = || Right::ALL.map(word).join(", ");
    if let Some(unknown) = wanted.iter().find(|wanted| !Right::ALL.iter().any(|right| word(*right).eq_ignore_ascii_case(wanted))) {
        return Err(format!("{unknown:.64} is no right. There are {}.", names()));
    }
    let rights: Vec<Right> =
        Right::ALL.into_iter().filter(|right| wanted.iter().any(|wanted| word(*right).eq_ignore_ascii_case(wanted))).collect();
    if rights.is_empty() { Err(format!("it needs at least one of the rights {}.", names())) } else { Ok(rights) }
}

fn word(right: Right) -> &'static str {
    match right {
        Right::ServiceConfig => "ServiceConfig",
        Right::EnrollmentRead => "EnrollmentRead",
        Right::EnrollmentWrite => "EnrollmentWrite",
        Right::DeviceConnect => "DeviceConnect",
        Right::RegistrationStatusRead => "RegistrationStatusRead",
        Right::RegistrationStatusWrite => "RegistrationStatusWrite",
    }
}

fn new_key(entropy: &dyn Entropy) -> Secret {
    let mut key = [0; KEY_BYTES];
    entropy.fill(&mut key);
    Secret::new(STANDARD.encode(key))
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(ErrorCode::BadRequest, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_in_any_order_and_told_in_one() {
        assert_eq!(rights("enrollmentwrite,ServiceConfig, EnrollmentWrite"), Ok(vec![Right::ServiceConfig, Right::EnrollmentWrite]));
        assert!(rights("").is_err() && rights("ServiceConfig,Everything").is_err_and(|why| why.contains("Everything")));
    }
}
