//! Uploaded CA certificates: their life, and the enrollments that refer to them.
#![allow(clippy::unwrap_used)]

#[path = "../../attestation/tests/pki/mod.rs"]
mod pki;
mod world;

use pki::Ca;
use serde_json::{Value, json};
use usher_attestation::Certificate;
use usher_domain::{ErrorCode, ca_certificate::CA_CERTIFICATES_MAX};
use usher_registry::{IfMatch, Kind, wire_etag};
use world::{World, code, now, world};

fn group(id: &str, references: Value) -> Value {
    json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": {"caReferences": references}}})
}

fn at(etag: u64) -> IfMatch {
    IfMatch::parse(Some(&wire_etag(etag)))
}

async fn upload(world: &World, name: &str, ca: &Ca, vouched: Option<bool>) -> u64 {
    world.tenant.registry.put_ca_certificate(name, &ca.certificate(), vouched, IfMatch::Unsaid, now()).await.unwrap().0.etag
}

#[tokio::test]
async fn a_certificate_is_verified_by_the_code_generated_last() {
    let (world, ca) = (world().await, Ca::root("root"));
    let registry = &world.tenant.registry;
    let etag = upload(&world, "Root-1", &ca, None).await;
    let proof = |code: &str| Certificate::from_der(&ca.leaf(code)).unwrap();
    assert_eq!(code(registry.verify_ca_certificate("root-1", &proof("x"), at(etag), now()).await), Some(ErrorCode::BadRequest));
    let first = registry.new_verification_code("root-1", at(etag), now()).await.unwrap();
    let second = registry.new_verification_code("root-1", at(first.etag), now()).await.unwrap();
    let told = |made: &usher_records::Versioned<usher_domain::ca_certificate::CaCertificate>| {
        made.value.verification_code.clone().unwrap().expose().to_owned()
    };
    assert_eq!(told(&second).len(), 48);
    let stale = registry.verify_ca_certificate("root-1", &proof(&told(&second)), at(first.etag), now()).await;
    assert_eq!(code(stale), Some(ErrorCode::PreconditionFailed));
    let old_code = registry.verify_ca_certificate("root-1", &proof(&told(&first)), IfMatch::Exists, now()).await;
    assert_eq!(code(old_code), Some(ErrorCode::BadRequest));
    let verified = registry.verify_ca_certificate("root-1", &proof(&told(&second)), at(second.etag), now()).await.unwrap();
    assert!(verified.value.is_verified && verified.value.name == "Root-1");
    // The same certificate again stays verified; another one has to be verified anew.
    upload(&world, "root-1", &ca, None).await;
    assert!(registry.ca_certificate("root-1").await.unwrap().unwrap().value.is_verified);
    upload(&world, "root-1", &Ca::root("root"), None).await;
    assert!(!registry.ca_certificate("root-1").await.unwrap().unwrap().value.is_verified);
}

#[tokio::test]
async fn only_a_verified_certificate_can_be_referred_to_and_it_stays_while_it_is() {
    let (world, ca) = (world().await, Ca::root("root"));
    let registry = &world.tenant.registry;
    let refused = async |references: Value| world.refusal(Kind::Group, group("g", references)).await;
    assert!(refused(json!({"primary": "nobody"})).await.1.contains("nobody"));
    upload(&world, "root-1", &ca, None).await;
    assert!(refused(json!({"secondary": "root-1"})).await.1.contains("not verified"));
    upload(&world, "root-1", &ca, Some(true)).await;
    let mut both = group("g", json!({"primary": "root-1"}));
    both["attestation"]["x509"]["signingCertificates"] = json!({"primary": {"certificate": world::ca("x")}});
    assert!(world.refusal(Kind::Group, both).await.1.contains("not both"));
    let told = world.put(Kind::Group, "g", group("g", json!({"primary": "ROOT-1"}))).await.unwrap();
    assert_eq!(told["attestation"]["x509"]["caReferences"], json!({"primary": "root-1"}));
    assert_eq!(code(registry.delete_ca_certificate("root-1", IfMatch::Exists).await), Some(ErrorCode::Conflict));
    // Replaced and not verified yet: what refers to it can still be written back.
    upload(&world, "root-1", &Ca::root("next"), None).await;
    let read = world.get(Kind::Group, "g").await.unwrap();
    world.put(Kind::Group, "g", read).await.unwrap();
    world.delete(Kind::Group, "g").await.unwrap();
    assert!(registry.delete_ca_certificate("root-1", IfMatch::Exists).await.unwrap());
    assert!(!registry.delete_ca_certificate("root-1", IfMatch::Exists).await.unwrap());
}

#[tokio::test]
async fn groups_are_found_by_the_name_of_the_certificate_that_stands_there_now() {
    let (world, first, second) = (world().await, Ca::root("first"), Ca::root("second"));
    let registry = &world.tenant.registry;
    let found = async |ca: &Ca| registry.groups_referring_to(ca.certificate().subject_der()).await.unwrap().len();
    upload(&world, "root-1", &first, Some(true)).await;
    world.put(Kind::Group, "g", group("g", json!({"primary": "root-1"}))).await.unwrap();
    assert_eq!((found(&first).await, found(&second).await), (1, 0));
    upload(&world, "root-1", &second, Some(true)).await;
    assert_eq!((found(&first).await, found(&second).await), (0, 1));
    upload(&world, "root-1", &second, Some(false)).await;
    assert_eq!(found(&second).await, 0, "it is not verified");
    upload(&world, "root-2", &first, Some(true)).await;
    world.put(Kind::Group, "g", group("g", json!({"primary": "root-2"}))).await.unwrap();
    assert!(registry.delete_ca_certificate("root-1", IfMatch::Exists).await.unwrap(), "no longer referred to");
}

#[tokio::test]
async fn an_individual_enrollment_can_refer_too() {
    let (world, ca) = (world().await, Ca::root("root"));
    upload(&world, "root-1", &ca, Some(true)).await;
    let body = json!({"registrationId": "d", "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root-1"}}}});
    world.put(Kind::Individual, "d", body).await.unwrap();
    let refused = world.tenant.registry.delete_ca_certificate("root-1", IfMatch::Exists).await;
    assert!(refused.unwrap_err().message.contains("individual enrollment d"));
}

#[tokio::test]
async fn there_are_limits_to_names_and_number() {
    let (world, ca) = (world().await, Ca::root("root"));
    let registry = &world.tenant.registry;
    let bad = registry.put_ca_certificate("a/b", &ca.certificate(), None, IfMatch::Unsaid, now()).await;
    assert_eq!(code(bad), Some(ErrorCode::InvalidId));
    for n in 0..CA_CERTIFICATES_MAX {
        upload(&world, &format!("ca-{n}"), &ca, None).await;
    }
    let more = registry.put_ca_certificate("more", &ca.certificate(), None, IfMatch::Unsaid, now()).await;
    assert_eq!(code(more), Some(ErrorCode::QuotaExceeded));
    assert_eq!(registry.ca_certificates().await.unwrap().len(), CA_CERTIFICATES_MAX);
}
