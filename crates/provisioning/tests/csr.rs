//! Certificates for signing requests: who gets one, and that an operation has one certificate and no other, whatever breaks.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use usher_attestation::{Certificate, SigningRequest};
use usher_domain::{
    ErrorCode,
    credential_policy::{Authority, CredentialPolicy, EstAuthority, HubAuthentication, KeyType},
    document::OperationStatusDocument,
    hub_device::DeviceCredential,
};
use usher_hub::{HubError, fake::Fault};
use usher_issuance::{
    ExternalAuthority, IssueError,
    fake::{FakeAuthority, request},
    held,
};
use usher_registry::IfMatch;
use world::{KEY, World};

async fn policy(world: &World, authority: Authority, key_types: Vec<KeyType>) {
    let now = world.engine.now();
    let made = CredentialPolicy {
        name: "certs".into(),
        authority,
        validity_days: 30,
        key_types,
        hub_authentication: HubAuthentication::Thumbprint,
        created_at: now,
        updated_at: now,
    };
    let registry = world.tenant().await.registry;
    registry.put_credential_policy("certs", IfMatch::Unsaid, |_| Ok(made.clone())).await.unwrap();
}

fn est() -> Authority {
    let url = "https://est.example".into();
    Authority::Est(EstAuthority { url, user: None, password: None, trust: Vec::new(), chain: Vec::new() })
}

/// A world where `d1` is enrolled for certificates of a CA that is held.
async fn world_with_ca() -> World {
    let world = World::new(1).await;
    policy(&world, held::generate("plant CA", world.engine.now()).unwrap().into(), KeyType::ALL.to_vec()).await;
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs" })).await;
    world
}

fn body(request: &SigningRequest) -> Vec<u8> {
    json!({ "registrationId": "d1", "csr": STANDARD.encode(request.der()) }).to_string().into_bytes()
}

async fn register(world: &World, body: &[u8]) -> Result<OperationStatusDocument, usher_domain::ServiceError> {
    world.register_as(&world.claim("d1", &KEY), body).await
}

fn chain(told: &OperationStatusDocument) -> Vec<String> {
    told.registration_state.as_ref().unwrap().issued_certificate_chain.clone().unwrap()
}

fn leaf(told: &OperationStatusDocument) -> Certificate {
    Certificate::from_der(&STANDARD.decode(&chain(told)[0]).unwrap()).unwrap()
}

fn credential(world: &World) -> DeviceCredential {
    world.a.device("d1").or(world.b.device("d1")).unwrap().spec.credential
}

fn thumbprint(told: &OperationStatusDocument) -> String {
    leaf(told).info().sha256_thumbprint.clone()
}

#[tokio::test]
async fn a_device_gets_a_certificate_for_its_key_and_its_hub_knows_it() {
    let world = world_with_ca().await;
    let csr = request("d1");
    let told = register(&world, &body(&csr)).await.unwrap();
    assert_eq!((leaf(&told).public_key_der(), leaf(&told).common_name()), (csr.public_key().to_vec(), Some("d1")));
    assert_eq!(credential(&world), DeviceCredential::Thumbprints { primary: thumbprint(&told), secondary: None });
    assert_eq!(world.poll("d1", &told.operation_id).await.unwrap(), told, "a poll tells the same chain");
    let looked_up = world.engine.registration(&world.claim("d1", &KEY)).await.unwrap();
    assert_eq!(looked_up.issued_certificate_chain, None, "a look-up tells none");
}

#[tokio::test]
async fn a_renewal_leaves_the_certificate_before_it_and_a_registration_without_a_request_keeps_it() {
    let world = world_with_ca().await;
    let first = register(&world, &body(&request("d1"))).await.unwrap();
    let second = register(&world, &body(&request("d1"))).await.unwrap();
    let both = DeviceCredential::Thumbprints { primary: thumbprint(&second), secondary: Some(thumbprint(&first)) };
    assert_eq!(credential(&world), both);
    let bare = world.register("d1").await.unwrap();
    assert_eq!(bare.registration_state.unwrap().issued_certificate_chain, None);
    assert_eq!(credential(&world), DeviceCredential::Thumbprints { primary: thumbprint(&second), secondary: None });
    world.enroll_device("d1", json!({})).await;
    world.register("d1").await.unwrap();
    assert!(matches!(credential(&world), DeviceCredential::SymmetricKeys { .. }), "an enrollment that issues none any more");
}

#[tokio::test]
async fn requests_that_break_a_rule_are_refused_and_leave_nothing() {
    let world = World::new(1).await;
    policy(&world, est(), vec![KeyType::P384]).await;
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs" })).await;
    let foreign = body(&request("d2"));
    let not_allowed = body(&request("d1"));
    let pem = json!({ "csr": "-----BEGIN CERTIFICATE REQUEST-----" }).to_string().into_bytes();
    let cases: [(&[u8], &str); 4] = [(&foreign, "common name"), (&not_allowed, "P-384"), (&pem, "PEM"), (br#"{"csr":"AAAA"}"#, "PKCS#10")];
    for (body, why) in cases {
        let refused = register(&world, body).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::CsrRefused);
        assert!(refused.message.contains(why), "{}", refused.message);
    }
    world.enroll_device("d1", json!({})).await;
    let refused = register(&world, &not_allowed).await.unwrap_err();
    assert!(refused.code == ErrorCode::CsrRefused && refused.message.contains("no credential policy"), "{}", refused.message);
    let unproven = world.register_as(&world.claim("d1", b"another key"), br#"{"csr":"AAAA"}"#).await.unwrap_err();
    assert_eq!(unproven.code, ErrorCode::Unauthorized, "who has proved nothing learns nothing of requests");
    assert!(world.hubs_with("d1").is_empty());
    let registry = world.tenant().await.registry;
    registry.delete_credential_policy("certs", IfMatch::Unsaid).await.unwrap();
    let missing = serde_json::from_value(json!({ "credentialPolicyName": "certs", "attestation": { "type": "symmetricKey" } })).unwrap();
    let tenant = world.tenant().await;
    let now = world.engine.now();
    let refused = tenant.put_enrollment(usher_registry::Kind::Individual, "d2", missing, IfMatch::Unsaid, now).await.unwrap_err();
    assert!(refused.code == ErrorCode::InvalidBody && refused.message.contains("credentialPolicyName"));
}

fn with(world: &mut World, authority: &Arc<FakeAuthority>) {
    let external: Arc<dyn ExternalAuthority> = authority.clone();
    world.engine = world.engine.clone().with_external_authority(external);
}

#[tokio::test(start_paused = true)]
async fn what_was_issued_before_a_crash_is_what_is_told_after_it() {
    let mut world = World::new(1).await;
    policy(&world, est(), KeyType::ALL.to_vec()).await;
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs" })).await;
    let authority = Arc::new(FakeAuthority::new(world.engine.now(), Vec::new()).unwrap());
    with(&mut world, &authority);
    let down = || Fault::Before(HubError::Unavailable("down".into()));
    world.a.fail_next([down(), down(), down()]);
    world.b.fail_next([down(), down(), down()]);
    let csr = request("d1");
    let begun = register(&world, &body(&csr)).await.unwrap();
    assert_eq!((begun.status.as_str(), authority.asked()), ("assigning", 1));
    assert_eq!(begun.registration_state.as_ref().unwrap().issued_certificate_chain, None, "not before the device is on its hub");
    let joined = register(&world, &body(&csr)).await.unwrap();
    assert_eq!(joined.operation_id, begun.operation_id, "the same request joins");
    let other = register(&world, &body(&request("d1"))).await.unwrap_err();
    assert_eq!((other.code, other.retry_after_s), (ErrorCode::Throttled, Some(5)), "another one waits");
    world.restart().await;
    with(&mut world, &authority);
    world.a.fail_next([]);
    world.clock.advance_millis(60_000);
    let mut told = world.poll("d1", &begun.operation_id).await.unwrap();
    for _ in 0..20 {
        if told.status == "assigned" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
        world.clock.advance_millis(31_000);
        told = world.poll("d1", &begun.operation_id).await.unwrap();
    }
    assert_eq!((told.status.as_str(), authority.asked()), ("assigned", 1), "nobody was asked again");
    assert_eq!(credential(&world), DeviceCredential::Thumbprints { primary: thumbprint(&told), secondary: None });
    assert_eq!(chain(&world.poll("d1", &begun.operation_id).await.unwrap()), chain(&told));
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_down_is_asked_again_and_one_that_refuses_ends_it() {
    let mut world = World::new(1).await;
    policy(&world, est(), KeyType::ALL.to_vec()).await;
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs" })).await;
    let down = IssueError::Later { why: "It is down.".into(), retry_after_s: None };
    let faults = vec![IssueError::Never("No such profile.".into()), down];
    let authority = Arc::new(FakeAuthority::new(world.engine.now(), faults).unwrap());
    with(&mut world, &authority);
    let csr = request("d1");
    let mut told = register(&world, &body(&csr)).await.unwrap();
    for _ in 0..20 {
        if told.status != "assigning" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        told = world.poll("d1", &told.operation_id).await.unwrap();
    }
    let state = told.registration_state.unwrap();
    assert_eq!((told.status.as_str(), state.error_code, authority.asked()), ("failed", Some(400_212), 2));
    assert_eq!(state.error_message.as_deref(), Some("No such profile."));
    assert!(world.hubs_with("d1").is_empty(), "no device without its certificate");
    assert_eq!(leaf(&register(&world, &body(&csr)).await.unwrap()).public_key_der(), csr.public_key());
}

#[tokio::test]
async fn a_record_of_before_is_read_as_one_without_certificates() {
    let world = world_with_ca().await;
    let told = world.register("d1").await.unwrap();
    let state: Value = serde_json::to_value(told.registration_state.unwrap()).unwrap();
    assert!(state.get("issuedCertificateChain").is_none());
    let id = usher_domain::RegistrationId::parse("d1").unwrap();
    let record = world.tenant().await.registry.registration(&id).await.unwrap().unwrap();
    assert!(!serde_json::to_string(&record.value).unwrap().contains("certificate\""));
}

#[tokio::test]
async fn a_policy_may_have_hubs_tell_devices_by_the_authority() {
    let world = world_with_ca().await;
    let registry = world.tenant().await.registry;
    let by_authority = |old: Option<&CredentialPolicy>| {
        Ok(CredentialPolicy { hub_authentication: HubAuthentication::CertificateAuthority, ..old.unwrap().clone() })
    };
    registry.put_credential_policy("certs", IfMatch::Unsaid, by_authority).await.unwrap();
    register(&world, &body(&request("d1"))).await.unwrap();
    assert_eq!(credential(&world), DeviceCredential::CertificateAuthority);
    world.register("d1").await.unwrap();
    assert_eq!(credential(&world), DeviceCredential::CertificateAuthority, "without a request, too");
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs", "deviceId": "other" })).await;
    let refused = register(&world, &body(&request("d1"))).await.unwrap_err();
    assert!(refused.code == ErrorCode::CsrRefused && refused.message.contains("another ID"), "{}", refused.message);
}
