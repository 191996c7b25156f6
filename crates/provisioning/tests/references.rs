//! Devices of groups that refer to uploaded CA certificates: what stands under the name now decides.
#![allow(clippy::unwrap_used)]

#[path = "../../attestation/tests/pki/mod.rs"]
mod pki;
mod world;

use pki::Ca;
use serde_json::json;
use usher_domain::{ErrorCode, ServiceError};
use usher_provisioning::Evidence;
use usher_registry::{IfMatch, Kind};
use world::World;

async fn upload(world: &World, ca: &Ca, vouched: bool) {
    let registry = world.tenant().await.registry;
    registry.put_ca_certificate("factory", &ca.certificate(), Some(vouched), IfMatch::Unsaid, world.engine.now()).await.unwrap();
}

async fn enroll_group(world: &World, id: &str, status: &str) {
    let x509 = json!({"caReferences": {"primary": "factory"}});
    let body = json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": x509}, "provisioningStatus": status});
    world.enroll(Kind::Group, id, body).await;
}

async fn register(world: &World, id: &str, chain: &[&[u8]]) -> Result<String, ServiceError> {
    let certificates = chain.iter().map(|der| der.to_vec()).collect();
    let mut claim = world.claim(id, &world::KEY);
    claim.evidence = Evidence { certificates, sas_token: None, tpm: None };
    world.register_as(&claim, b"").await.map(|document| document.status)
}

#[tokio::test]
async fn a_group_admits_by_the_certificate_under_the_name_and_by_its_successor_at_once() {
    let world = World::new(1).await;
    let (first, second) = (Ca::root("factory CA"), Ca::root("factory CA, next"));
    upload(&world, &first, true).await;
    enroll_group(&world, "g", "enabled").await;
    assert_eq!(register(&world, "dev-1", &[&first.leaf("dev-1")]).await.unwrap(), "assigned");
    let site = first.sub("site");
    assert_eq!(register(&world, "dev-2", &[&site.leaf("dev-2"), &site.der]).await.unwrap(), "assigned");
    let early = register(&world, "dev-3", &[&second.leaf("dev-3")]).await.unwrap_err();
    assert_eq!(early.code, ErrorCode::InvalidCertificate);
    upload(&world, &second, true).await;
    assert_eq!(register(&world, "dev-3", &[&second.leaf("dev-3")]).await.unwrap(), "assigned");
    assert!(register(&world, "dev-1", &[&first.leaf("dev-1")]).await.is_err(), "the name stands for another now");
}

#[tokio::test]
async fn an_unverified_certificate_admits_nobody() {
    let (world, ca) = (World::new(2).await, Ca::root("factory CA"));
    upload(&world, &ca, true).await;
    enroll_group(&world, "g", "enabled").await;
    upload(&world, &ca, false).await;
    assert!(register(&world, "dev-1", &[&ca.leaf("dev-1")]).await.is_err());
}

#[tokio::test]
async fn a_disabled_nearer_group_by_reference_is_not_stepped_around() {
    let (world, root) = (World::new(3).await, Ca::root("root"));
    let site = root.sub("site");
    let certificate = base64_of(&root.der);
    let signing = json!({"signingCertificates": {"primary": {"certificate": certificate}}});
    world.enroll(Kind::Group, "far", json!({"enrollmentGroupId": "far", "attestation": {"type": "x509", "x509": signing}})).await;
    upload(&world, &site, true).await;
    enroll_group(&world, "near", "disabled").await;
    assert_eq!(register(&world, "dev-1", &[&site.leaf("dev-1"), &site.der]).await.unwrap(), "disabled");
    assert_eq!(register(&world, "dev-2", &[&root.leaf("dev-2")]).await.unwrap(), "assigned");
}

#[tokio::test]
async fn an_individual_enrollment_by_reference_admits_its_own_device_only() {
    let (world, ca) = (World::new(4).await, Ca::root("factory CA"));
    upload(&world, &ca, true).await;
    let x509 = json!({"caReferences": {"secondary": "factory"}});
    world.enroll(Kind::Individual, "dev-1", json!({"registrationId": "dev-1", "attestation": {"type": "x509", "x509": x509}})).await;
    assert_eq!(register(&world, "dev-1", &[&ca.leaf("dev-1")]).await.unwrap(), "assigned");
    assert!(register(&world, "dev-1", &[&Ca::root("factory CA").leaf("dev-1")]).await.is_err());
    assert!(register(&world, "dev-2", &[&ca.leaf("dev-2")]).await.is_err());
}

fn base64_of(der: &[u8]) -> String {
    usher_attestation::Certificate::from_der(der).unwrap().stored().der
}
