//! Judges a device: by a SAS token of its own keys or of a policy that may act as a device, by its certificate's thumbprint, or by a
//! chain to a CA that the hub trusts (MicrosoftDocs/azure-docs: articles/iot-hub/authenticate-authorize-{sas,x509}.md).

use percent_encoding::percent_decode_str;
use usher_attestation::{CLOCK_SKEW_S, Certificate, SasToken, sas::decode_key, x509};
use usher_domain::{RegistrationId, Secret, Timestamp, enrollment::CertificatePair};
use usher_hub_embedded::{
    EmbeddedHub,
    device::{Authentication, Device, Status},
    policy::Permission,
};

use super::Refusal;

/// What a device shows of itself.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// The host as the device spelled it, a port included where it named one.
    pub authority: &'a str,
    /// The SAS token, where it sent one.
    pub token: Option<&'a str>,
    /// The client certificate and its chain, DER, leaf first; possession of the key is proven by TLS.
    pub chain: &'a [Vec<u8>],
}

/// A device is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admission {
    /// When its token expires, the tolerance for clocks included; a certificate's connection does not expire.
    pub until: Option<Timestamp>,
}

/// Judges a device.
pub fn judge_device(hub: &EmbeddedHub, device: &Device, evidence: Evidence<'_>, now: Timestamp) -> Result<Admission, Refusal> {
    if device.status == Status::Disabled {
        return Err(Refusal::new("DeviceEnabled", "the device is disabled"));
    }
    match evidence.token {
        Some(token) => judge_token(hub, device, evidence.authority, token, now),
        None => judge_certificate(hub, device, evidence.chain, now).map(|()| Admission { until: None }),
    }
}

fn judge_token(hub: &EmbeddedHub, device: &Device, authority: &str, token: &str, now: Timestamp) -> Result<Admission, Refusal> {
    let token = SasToken::parse(token).map_err(|error| Refusal::new("TokenForm", error.to_string()))?;
    match token.key_name() {
        Some(name) => {
            let policy = hub.policy(name).ok_or_else(|| Refusal::new("TokenPolicy", format!("the hub has no policy {name:?}")))?;
            if !policy.allows(Permission::DeviceConnect) {
                return Err(Refusal::new("TokenPermission", format!("the policy {name:?} may not act as a device")));
            }
            check_policy_resource(hub, device, authority, &token)?;
            verify_either(&token, &policy.primary, &policy.secondary)?;
        }
        None => {
            let Authentication::Sas { primary, secondary } = &device.authentication else {
                let kind = device.authentication.kind();
                return Err(Refusal::new("CredentialKind", format!("the device sent a SAS token, its authentication is {kind}")));
            };
            check_device_resource(hub, device, authority, &token)?;
            verify_either(&token, primary, secondary)?;
        }
    }
    token.verify_expiry(now).map_err(|error| Refusal::new("TokenExpiry", error.to_string()))?;
    Ok(Admission { until: Some(Timestamp::from_secs(token.expiry_s().saturating_add(CLOCK_SKEW_S))) })
}

/// Either key signs. The signature comes before the expiry, so that only a key's holder learns of a clock that runs apart.
pub(super) fn verify_either(token: &SasToken, primary: &Secret, secondary: &Secret) -> Result<(), Refusal> {
    let signed = [primary, secondary].into_iter().any(|key| decode_key(key.expose()).is_ok_and(|key| token.verify_signature(&key).is_ok()));
    if signed { Ok(()) } else { Err(Refusal::new("TokenSignature", "the token was signed with neither of the two keys")) }
}

fn check_device_resource(hub: &EmbeddedHub, device: &Device, authority: &str, token: &SasToken) -> Result<(), Refusal> {
    let wanted = [hub.name().as_str(), authority].map(|host| format!("{host}/devices/{}", device.device_id));
    if wanted.iter().any(|wanted| token.is_for(wanted) || decoded_again(token).eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(wrong_resource(token, &format!("{}/devices/{}", hub.name(), device.device_id)))
}

/// A policy's token is for the hub or for one device; then it must name this device exactly, for device IDs are case-sensitive.
fn check_policy_resource(hub: &EmbeddedHub, device: &Device, authority: &str, token: &SasToken) -> Result<(), Refusal> {
    let id = device.device_id.as_str();
    let covers = [hub.name().as_str(), authority].iter().any(|host| token.covers(&format!("{host}/devices/{id}")));
    let named = decoded_again(token);
    let other_case = named.split_once("/devices/").is_some_and(|(_, named)| named.trim_end_matches('/') != id);
    if covers && !other_case { Ok(()) } else { Err(wrong_resource(token, &format!("{}/devices/{id}", hub.name()))) }
}

/// Some clients escape the device ID before they escape the whole resource.
fn decoded_again(token: &SasToken) -> String {
    percent_decode_str(token.resource()).decode_utf8_lossy().into_owned()
}

pub(super) fn wrong_resource(token: &SasToken, wanted: &str) -> Refusal {
    Refusal::new("TokenResource", format!("the token is for '{}', wanted is '{wanted}'", token.resource().escape_debug()))
}

fn judge_certificate(hub: &EmbeddedHub, device: &Device, chain: &[Vec<u8>], now: Timestamp) -> Result<(), Refusal> {
    let Some(leaf) = chain.first() else {
        return Err(Refusal::new("CredentialMissing", "the device sent neither a SAS token nor a client certificate"));
    };
    match &device.authentication {
        Authentication::SelfSigned { primary, secondary } => {
            let leaf = Certificate::from_der(leaf).map_err(|error| Refusal::new("CertificateForm", error.to_string()))?;
            let enrolled = [primary, secondary];
            let matches = |thumbprint: &str| enrolled.iter().copied().flatten().any(|known| known.eq_ignore_ascii_case(thumbprint));
            if matches(&leaf.info().sha1_thumbprint) || matches(&leaf.info().sha256_thumbprint) {
                return Ok(());
            }
            let detail = format!(
                "the presented certificate has the SHA-256 thumbprint {}, the device is registered with another",
                leaf.info().sha256_thumbprint
            );
            Err(Refusal::new("Thumbprint", detail))
        }
        Authentication::CertificateAuthority => judge_chain(hub, device, chain, now),
        Authentication::Sas { .. } => {
            Err(Refusal::new("CredentialKind", "the device sent a client certificate and no SAS token, its authentication is sas"))
        }
    }
}

fn judge_chain(hub: &EmbeddedHub, device: &Device, chain: &[Vec<u8>], now: Timestamp) -> Result<(), Refusal> {
    let common_name = RegistrationId::parse(device.device_id.as_str())
        .map_err(|error| Refusal::new("CommonName", format!("this device ID cannot stand in a certificate: {error}")))?;
    let pairs: Vec<CertificatePair> =
        hub.authorities().into_iter().map(|authority| CertificatePair { primary: Some(authority.certificate), secondary: None }).collect();
    let pairs: Vec<&CertificatePair> = pairs.iter().collect();
    let judged = x509::prove_nearest_group(chain, &common_name, &pairs, now);
    judged.map(|_| ()).map_err(|refusal| Refusal::new(refusal.check.name(), format!("{} {}", refusal.detail, refusal.mend)))
}
