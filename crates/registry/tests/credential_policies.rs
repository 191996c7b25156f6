//! Credential policies: made, changed and deleted under conditions, and never more than may be.
#![allow(clippy::unwrap_used)]

mod world;

use usher_domain::{
    ErrorCode, Secret, ServiceError,
    credential_policy::{Authority, CREDENTIAL_POLICIES_MAX, CredentialPolicy, EstAuthority, HubAuthentication, KeyType},
};
use usher_registry::{IfMatch, wire_etag};
use world::{now, world};

fn policy(name: &str, days: u32) -> CredentialPolicy {
    let authority = Authority::Est(EstAuthority {
        url: "https://est.example".into(),
        user: Some("usher".into()),
        password: Some(Secret::new("hidden")),
        trust: Vec::new(),
        chain: Vec::new(),
    });
    CredentialPolicy {
        name: name.into(),
        authority,
        validity_days: days,
        key_types: vec![KeyType::P384],
        hub_authentication: HubAuthentication::Thumbprint,
        created_at: now(),
        updated_at: now(),
    }
}

fn days(days: u32) -> impl Fn(Option<&CredentialPolicy>) -> Result<CredentialPolicy, ServiceError> {
    move |old| Ok(old.map_or_else(|| policy("Certs", days), |old| CredentialPolicy { validity_days: days, ..old.clone() }))
}

#[tokio::test]
async fn a_policy_is_found_in_any_case_and_changed_under_its_etag() {
    let registry = world().await.tenant.registry;
    let (made, created) = registry.put_credential_policy("Certs", IfMatch::Unsaid, days(30)).await.unwrap();
    assert!(created && registry.credential_policy("CERTS").await.unwrap() == Some(made.clone()));
    let stale = IfMatch::parse(Some("\"bm8=\""));
    let refused = registry.put_credential_policy("certs", stale, days(60)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PreconditionFailed);
    let current = IfMatch::parse(Some(&wire_etag(made.etag)));
    let (changed, created) = registry.put_credential_policy("certs", current, days(60)).await.unwrap();
    assert_eq!((created, changed.value.validity_days, changed.value.name.as_str()), (false, 60, "Certs"));
    assert_eq!(registry.credential_policies().await.unwrap(), vec![changed]);
    assert!(registry.delete_credential_policy("CERTS", IfMatch::Unsaid).await.unwrap());
    assert!(!registry.delete_credential_policy("certs", IfMatch::Unsaid).await.unwrap());
    assert!(registry.credential_policies().await.unwrap().is_empty());
    let bad = registry.put_credential_policy("a/b", IfMatch::Unsaid, days(1)).await.unwrap_err();
    assert_eq!(bad.code, ErrorCode::InvalidId);
}

#[tokio::test]
async fn there_are_never_more_than_may_be() {
    let registry = world().await.tenant.registry;
    let mut making = Vec::new();
    for n in 0..CREDENTIAL_POLICIES_MAX + 3 {
        let registry = registry.clone();
        making.push(async move {
            let name = format!("policy-{n}");
            registry.put_credential_policy(&name, IfMatch::Unsaid, |_| Ok(policy(&name, 1))).await.map_err(|error| error.code)
        });
    }
    let mut made = 0;
    for making in making {
        match making.await {
            Ok(_) => made += 1,
            Err(code) => assert_eq!(code, ErrorCode::QuotaExceeded),
        }
    }
    assert_eq!((made, registry.credential_policies().await.unwrap().len()), (CREDENTIAL_POLICIES_MAX, CREDENTIAL_POLICIES_MAX));
    assert!(
        registry.put_credential_policy("policy-0", IfMatch::Unsaid, |_| Ok(policy("policy-0", 2))).await.is_ok(),
        "a change needs no place"
    );
}
