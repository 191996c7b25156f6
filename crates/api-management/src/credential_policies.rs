//! Credential policies of a service, each with its certificate authority: made, taken over, changed, deleted. usher's own path; the bodies
//! are those of Azure Device Registry's policies as far as they go (docs/protocol/csr.md), with what an installation of one's own needs
//! besides: a CA brought along, or one asked by EST. Private keys and passwords are taken and never told.

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use usher_attestation::Certificate;
use usher_domain::{
    Secret, ServiceError, Timestamp,
    credential_policy::{
        Authority, CredentialPolicy, EstAuthority, HubAuthentication, ISSUED_CHAIN_MAX, KeyType, VALIDITY_DAYS_DEFAULT, VALIDITY_DAYS_MAX,
    },
    enrollment::StoredCertificate,
};
use usher_issuance::held;
use usher_records::Versioned;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    describe, resource_id_of,
    route::Place,
    write::if_match,
};

/// Longest EST URL, user name and password, in bytes.
const EST_TEXT_BYTES_MAX: usize = 512;
/// Roots that an EST server may have its certificate from, besides the machine's.
const EST_TRUST_MAX: usize = 4;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicyBody {
    properties: PropertiesBody,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PropertiesBody {
    certificate: CertificateBody,
    /// `thumbprint` or `certificateAuthority`.
    hub_authentication: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CertificateBody {
    certificate_authority_configuration: AuthorityBody,
    leaf_certificate_configuration: LeafBody,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthorityBody {
    /// `ECC`, the cloud's one kind, for a CA that is made here.
    key_type: Option<String>,
    /// The common name of a CA that is made here, with or without `CN=`.
    subject: Option<String>,
    /// PEM, the issuing CA first; for an EST authority those above it.
    certificate_chain: Option<String>,
    /// PEM of a CA that is brought along.
    private_key: Option<Secret>,
    est: Option<EstBody>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EstBody {
    url: String,
    user: Option<String>,
    password: Option<Secret>,
    /// PEM of roots.
    trust: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeafBody {
    validity_period_in_days: Option<u32>,
    key_types: Option<Vec<String>>,
}

impl ManagementApi {
    /// All policies of a service.
    pub(crate) async fn credential_policies(&self, place: &Place) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let id = resource_id_of(&tenant.service);
        let all = tenant.registry.credential_policies().await?;
        Ok(Answer::ok(json!({ "value": all.iter().map(|found| describe_policy(&id, found)).collect::<Vec<_>>() })))
    }

    /// One policy.
    pub(crate) async fn credential_policy(&self, place: &Place, name: &str) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let found = tenant.registry.credential_policy(name).await?;
        let found = found.ok_or_else(|| Refused::missing(format!("There is no credential policy {name:.64}.")))?;
        Ok(Answer::ok(describe_policy(&resource_id_of(&tenant.service), &found)))
    }

    /// Makes a policy with its authority, or changes it. What the body leaves out stays, the authority above all.
    pub(crate) async fn put_credential_policy(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let body: PolicyBody = if request.body().trim_ascii_start().starts_with(b"{") {
            serde_json::from_slice(request.body()).map_err(|why| Refused::bad("InvalidRequestContent", format!("The body: {why}.")))?
        } else {
            return Err(Refused::bad("InvalidRequestContent", "The body must be a JSON object."));
        };
        let now = self.ports.clock.now();
        let default_subject = format!("usher {} {name:.50}", tenant.service.name);
        let make = |old: Option<&CredentialPolicy>| made(name, &default_subject, &body.properties, old, now);
        let (written, created) = tenant.registry.put_credential_policy(name, if_match(request), make).await?;
        Ok(Answer::written(describe_policy(&resource_id_of(&tenant.service), &written), created))
    }

    /// Deletes a policy and its authority.
    pub(crate) async fn delete_credential_policy(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        Ok(Answer::deleted(tenant.registry.delete_credential_policy(name, if_match(request)).await?))
    }
}

fn made(
    name: &str,
    default_subject: &str,
    body: &PropertiesBody,
    old: Option<&CredentialPolicy>,
    now: Timestamp,
) -> Result<CredentialPolicy, ServiceError> {
    let leaf = &body.certificate.leaf_certificate_configuration;
    let validity_days = leaf.validity_period_in_days.or(old.map(|old| old.validity_days)).unwrap_or(VALIDITY_DAYS_DEFAULT);
    if !(1..=VALIDITY_DAYS_MAX).contains(&validity_days) {
        return Err(invalid(format!("validityPeriodInDays must be 1 to {VALIDITY_DAYS_MAX}.")));
    }
    let key_types = match &leaf.key_types {
        Some(words) => key_types(words)?,
        None => old.map_or_else(|| KeyType::ALL.to_vec(), |old| old.key_types.clone()),
    };
    let hub_authentication = match &body.hub_authentication {
        Some(word) => {
            HubAuthentication::from_word(word).ok_or_else(|| invalid("hubAuthentication must be thumbprint or certificateAuthority."))?
        }
        None => old.map(|old| old.hub_authentication).unwrap_or_default(),
    };
    Ok(CredentialPolicy {
        name: old.map_or_else(|| name.to_owned(), |old| old.name.clone()),
        authority: authority(&body.certificate.certificate_authority_configuration, default_subject, old, now)?,
        validity_days,
        key_types,
        hub_authentication,
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    })
}

fn key_types(words: &[String]) -> Result<Vec<KeyType>, ServiceError> {
    let known = KeyType::ALL.map(KeyType::word).join(", ");
    let mut kinds = Vec::new();
    for word in words.iter().take(KeyType::ALL.len() * 2) {
        let kind = KeyType::from_word(word).ok_or_else(|| invalid(format!("There is no key type {word:.20}; there are {known}.")))?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if kinds.is_empty() { Err(invalid(format!("keyTypes must name one of {known}."))) } else { Ok(kinds) }
}

fn authority(
    body: &AuthorityBody,
    default_subject: &str,
    old: Option<&CredentialPolicy>,
    now: Timestamp,
) -> Result<Authority, ServiceError> {
    let chain = body.certificate_chain.as_deref().map(|text| certificates("certificateChain", text, ISSUED_CHAIN_MAX)).transpose()?;
    if let Some(est) = &body.est {
        return est_authority(est, chain.unwrap_or_default(), old);
    }
    match (chain, &body.private_key, old) {
        (Some(chain), Some(key), _) => held::import(&chain, key.expose(), now).map(Authority::from).map_err(invalid),
        (None, None, Some(old)) => Ok(old.authority.clone()),
        (None, None, None) => {
            if body.key_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("ECC")) {
                return Err(invalid("keyType must be ECC: usher makes CAs with keys on NIST P-384. Bring another one along."));
            }
            let subject = body.subject.as_deref().unwrap_or(default_subject);
            held::generate(subject.strip_prefix("CN=").unwrap_or(subject), now).map(Authority::from).map_err(invalid)
        }
        _ => Err(invalid("A CA that is brought along needs both certificateChain and privateKey.")),
    }
}

/// A password that is left out stays, for the same URL alone: it must not go to another server.
fn est_authority(body: &EstBody, chain: Vec<Certificate>, old: Option<&CredentialPolicy>) -> Result<Authority, ServiceError> {
    let sizes = [body.url.len(), body.user.as_ref().map_or(0, String::len), body.password.as_ref().map_or(0, |p| p.expose().len())];
    if sizes.iter().any(|size| *size > EST_TEXT_BYTES_MAX) {
        return Err(invalid(format!("est: url, user and password have at most {EST_TEXT_BYTES_MAX} bytes each.")));
    }
    let here = ["http://localhost", "http://127.0.0.1", "http://[::1]"].iter().any(|start| body.url.starts_with(start));
    if !(body.url.starts_with("https://") || here) || body.url.contains(['?', '#', '@']) {
        return Err(invalid("est.url must be https://host[:port][/path], without user, query or fragment."));
    }
    let known = match old.map(|old| &old.authority) {
        Some(Authority::Est(known)) if known.url == body.url && known.user == body.user => known.password.clone(),
        _ => None,
    };
    let trust = body.trust.as_deref().map(|text| certificates("est.trust", text, EST_TRUST_MAX)).transpose()?.unwrap_or_default();
    Ok(Authority::Est(EstAuthority {
        url: body.url.clone(),
        user: body.user.clone().filter(|user| !user.is_empty()),
        password: body.password.clone().or(known),
        trust: trust.iter().map(|root| root.stored().der).collect(),
        chain: chain.iter().map(Certificate::stored).collect(),
    }))
}

fn certificates(member: &str, text: &str, max: usize) -> Result<Vec<Certificate>, ServiceError> {
    Certificate::several_from_text(text, max).map_err(|why| invalid(format!("{member}: {why}.")))
}

fn invalid(why: impl Into<String>) -> ServiceError {
    ServiceError::with(usher_domain::ErrorCode::InvalidBody, why)
}

fn describe_policy(service_id: &str, found: &Versioned<CredentialPolicy>) -> Value {
    let value = &found.value;
    let authority = match &value.authority {
        Authority::Held { chain, .. } => describe_authority("held", chain),
        Authority::Est(est) => {
            let mut told = describe_authority("est", &est.chain);
            told["est"] = json!({ "url": est.url, "user": est.user });
            told
        }
    };
    json!({
        "id": format!("{service_id}/credentialPolicies/{}", value.name),
        "name": value.name,
        "type": "Microsoft.Devices/ProvisioningServices/CredentialPolicies",
        "etag": describe::etag(found.etag),
        "properties": {
            "provisioningState": "Succeeded",
            "certificate": {
                "certificateAuthorityConfiguration": authority,
                "leafCertificateConfiguration": { "validityPeriodInDays": value.validity_days, "keyTypes": value.key_types },
            },
            "hubAuthentication": value.hub_authentication.word(),
            "created": value.created_at.http_date(),
            "updated": value.updated_at.http_date(),
        },
    })
}

fn describe_authority(kind: &str, chain: &[StoredCertificate]) -> Value {
    let mut told = json!({ "kind": kind, "certificateChain": chain.iter().map(|stored| stored.der.as_str()).collect::<Vec<_>>() });
    if let Some(ca) = chain.first() {
        told["subject"] = json!(ca.info.subject_name);
        told["thumbprint"] = json!(ca.info.sha256_thumbprint);
        told["expiry"] = json!(ca.info.not_after_utc.http_date());
    }
    told
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn make(body: Value, old: Option<&CredentialPolicy>) -> Result<CredentialPolicy, ServiceError> {
        let body = serde_json::from_value(json!({ "certificate": body })).unwrap();
        made("cert-policy", "usher s cert-policy", &body, old, NOW)
    }

    #[test]
    fn a_policy_that_says_nothing_gets_a_ca_and_all_keys_and_keeps_the_ca_on_change() {
        let first = make(json!({}), None).unwrap();
        assert_eq!((first.validity_days, first.key_types.as_slice()), (VALIDITY_DAYS_DEFAULT, KeyType::ALL.as_slice()));
        let body = json!({ "leafCertificateConfiguration": { "validityPeriodInDays": 90, "keyTypes": ["p-384", "P-384"] } });
        let changed = make(body, Some(&first)).unwrap();
        assert_eq!((changed.validity_days, changed.key_types.as_slice()), (90, [KeyType::P384].as_slice()));
        assert_eq!(changed.authority, first.authority);
    }

    #[test]
    fn nothing_secret_is_told() {
        let est = json!({ "url": "https://est.example", "user": "usher", "password": "hidden" });
        let policy = make(json!({ "certificateAuthorityConfiguration": { "est": est } }), None).unwrap();
        let told = describe_policy("/s", &Versioned { value: policy, etag: 1 }).to_string();
        assert!(told.contains("est.example") && !told.contains("hidden"));
        let held = make(json!({}), None).unwrap();
        let Authority::Held { key, .. } = held.authority.clone() else { panic!("not held") };
        let told = format!("{} {held:?}", describe_policy("/s", &Versioned { value: held.clone(), etag: 1 }));
        // The first two lines of base64 hold the private scalar; the third is the public key, which the certificate has too.
        assert!(!key.expose().lines().skip(1).take(2).any(|line| told.contains(line)));
    }

    #[test]
    fn rules_are_told_by_name() {
        for (body, why) in [
            (json!({ "leafCertificateConfiguration": { "validityPeriodInDays": 0 } }), "validityPeriodInDays"),
            (json!({ "leafCertificateConfiguration": { "keyTypes": [] } }), "keyTypes"),
            (json!({ "leafCertificateConfiguration": { "keyTypes": ["DSA"] } }), "DSA"),
            (json!({ "certificateAuthorityConfiguration": { "keyType": "RSA" } }), "keyType"),
            (json!({ "certificateAuthorityConfiguration": { "privateKey": "x" } }), "certificateChain"),
            (json!({ "certificateAuthorityConfiguration": { "certificateChain": "x" } }), "certificateChain"),
            (json!({ "certificateAuthorityConfiguration": { "est": { "url": "http://est.example" } } }), "est.url"),
            (json!({ "certificateAuthorityConfiguration": { "est": { "url": "https://u:p@est.example" } } }), "est.url"),
        ] {
            let refused = make(body, None).unwrap_err();
            assert!(refused.message.contains(why), "{}", refused.message);
        }
    }

    #[test]
    fn a_password_stays_with_its_url_alone() {
        let body = |url: &str, password: Option<&str>| json!({ "certificateAuthorityConfiguration": { "est": { "url": url, "user": "u", "password": password } } });
        let first = make(body("https://a.example", Some("p")), None).unwrap();
        let kept = make(body("https://a.example", None), Some(&first)).unwrap();
        assert_eq!(kept.authority, first.authority);
        let moved = make(body("https://b.example", None), Some(&first)).unwrap();
        assert!(matches!(moved.authority, Authority::Est(EstAuthority { password: None, .. })));
    }
}
