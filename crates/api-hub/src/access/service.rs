//! Judges an operator's or application's request by its SAS token.

use usher_attestation::SasToken;
use usher_domain::Timestamp;
use usher_hub_embedded::{EmbeddedHub, policy::Permission};

use super::{
    Refusal,
    device::{verify_either, wrong_resource},
};

/// What a service request shows of itself.
#[derive(Clone, Copy)]
pub struct ServiceEvidence<'a> {
    /// The host as the client spelled it, a port included where it named one.
    pub authority: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The `Authorization` header.
    pub token: Option<&'a str>,
}

/// Why a service request is refused: not believed, or believed and not permitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServiceRefusal {
    /// The token proves nothing.
    Unauthorized(Refusal),
    /// The token is good, its policy lacks the permission. 401 as well: 403 is IoT Hub's word for quotas.
    Forbidden(Refusal),
}

/// Judges a service request.
pub fn judge_service(
    hub: &EmbeddedHub,
    permission: Permission,
    evidence: ServiceEvidence<'_>,
    now: Timestamp,
) -> Result<(), ServiceRefusal> {
    let unauthorized = |check, detail: String| ServiceRefusal::Unauthorized(Refusal::new(check, detail));
    let token = evidence.token.ok_or_else(|| unauthorized("TokenMissing", "the request has no Authorization header".into()))?;
    let token = SasToken::parse(token).map_err(|error| unauthorized("TokenForm", error.to_string()))?;
    let name = token.key_name().ok_or_else(|| unauthorized("TokenPolicy", "the token names no policy (skn)".into()))?;
    let policy = hub.policy(name).ok_or_else(|| unauthorized("TokenPolicy", format!("the hub has no policy {name:?}")))?;
    let covered = [hub.name().as_str(), evidence.authority].iter().any(|host| token.covers(&format!("{host}{}", evidence.path)));
    if !covered {
        return Err(ServiceRefusal::Unauthorized(wrong_resource(&token, &format!("{}{}", hub.name(), evidence.path))));
    }
    verify_either(&token, &policy.primary, &policy.secondary).map_err(ServiceRefusal::Unauthorized)?;
    token.verify_expiry(now).map_err(|error| unauthorized("TokenExpiry", error.to_string()))?;
    if policy.allows(permission) {
        return Ok(());
    }
    Err(ServiceRefusal::Forbidden(Refusal::new("TokenPermission", format!("the policy {name:?} lacks {permission:?}"))))
}
