//! Finding the groups that could admit a device: by the CA that signed its certificate, or by trying the group keys.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use usher_attestation::Certificate;
use usher_domain::{ErrorCode, enrollment::Enrollment, limits::SYMMETRIC_KEY_GROUPS_MAX};
use usher_registry::Kind::Group;
use world::{World, ca, code, group, with, world, x509_group};

fn subject(pem: &str) -> Vec<u8> {
    Certificate::from_text(pem).unwrap().subject_der().to_vec()
}

fn names(mut groups: Vec<Enrollment>) -> Vec<String> {
    groups.sort_by_key(|group| format!("{:?}", group.subject));
    groups.iter().map(|group| serde_json::to_value(&group.subject).unwrap()["group_id"].as_str().unwrap().to_owned()).collect()
}

async fn signed_by(world: &World, pem: &str) -> Vec<String> {
    names(world.tenant.registry.groups_signed_by(&subject(pem)).await.unwrap())
}

#[tokio::test]
async fn a_group_is_found_by_either_of_its_cas_until_it_has_them_no_more() {
    let world = world().await;
    let (old, new, other) = (ca("old"), ca("new"), ca("other"));
    world.put(Group, "Line-7", x509_group("Line-7", &old, None)).await.unwrap();
    world.put(Group, "line-8", x509_group("line-8", &old, Some(&other))).await.unwrap();
    assert_eq!(signed_by(&world, &old).await, ["Line-7", "line-8"]);
    assert!(signed_by(&world, &new).await.is_empty());
    world.put(Group, "line-7", x509_group("line-7", &new, None)).await.unwrap();
    assert_eq!(signed_by(&world, &old).await, ["line-8"]);
    assert_eq!(signed_by(&world, &new).await, ["Line-7"]);
    world.put(Group, "line-7", group("line-7")).await.unwrap();
    assert!(signed_by(&world, &new).await.is_empty(), "it has symmetric keys now");
    world.delete(Group, "LINE-8").await.unwrap();
    assert!(signed_by(&world, &other).await.is_empty());
}

#[tokio::test]
async fn a_certificate_is_told_by_its_info_and_kept_when_only_that_comes_back() {
    let world = world().await;
    let (first, second) = (ca("first"), ca("second"));
    world.put(Group, "g", x509_group("g", &first, Some(&second))).await.unwrap();
    let told = world.get(Group, "g").await.unwrap();
    let pair = &told["attestation"]["x509"]["signingCertificates"];
    assert_eq!(pair["primary"]["info"]["subjectName"], "CN=first");
    assert_eq!(pair["primary"].get("certificate"), None);
    // Roll-over: the secondary becomes the only certificate.
    let promoted = json!({"type": "x509", "x509": {"signingCertificates": {"primary": pair["secondary"], "secondary": Value::Null}}});
    let after = world.put(Group, "g", with(told.clone(), json!({"attestation": promoted}))).await.unwrap();
    assert_eq!(after["attestation"]["x509"]["signingCertificates"]["primary"]["info"]["subjectName"], "CN=second");
    assert!(signed_by(&world, &first).await.is_empty());
    assert_eq!(signed_by(&world, &second).await, ["g"]);
    let (status, message) = world.refusal(Group, told).await;
    assert!(status == 400 && message.contains("primary has an info"), "the first certificate is gone: {message}");
}

#[tokio::test]
async fn certificates_are_taken_in_every_form_that_tools_send() {
    let world = world().await;
    let pem = ca("forms");
    let packed: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let twice = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem.as_bytes());
    for text in [pem.as_str(), packed.as_str(), twice.as_str(), pem.trim_end()] {
        assert!(world.put(Group, "g", x509_group("g", text, None)).await.is_ok(), "{text:.40}");
    }
    let (status, message) = world.refusal(Group, x509_group("g", "no certificate", None)).await;
    assert!(status == 400 && message.starts_with("signingCertificates.primary"), "{message}");
}

#[tokio::test]
async fn symmetric_key_groups_are_listed_as_they_stand() {
    let world = world().await;
    let registry = &world.tenant.registry;
    assert!(registry.symmetric_key_groups().await.unwrap().is_empty());
    world.put(Group, "a", group("a")).await.unwrap();
    world.put(Group, "b", group("b")).await.unwrap();
    assert_eq!(names(registry.symmetric_key_groups().await.unwrap()), ["a", "b"]);
    // What another node changes is seen here too, although the groups are held in memory.
    let elsewhere = usher_registry::Directory::open(std::sync::Arc::new(world.store.clone()), world.master.clone()).await.unwrap();
    let other_node = elsewhere.by_name("plant").await.unwrap().unwrap();
    let disabled = world::document(with(group("a"), json!({"provisioningStatus": "disabled"}))).unwrap();
    other_node.put_enrollment(Group, "a", disabled, usher_registry::IfMatch::Unsaid, world::now()).await.unwrap();
    let seen = registry.symmetric_key_groups().await.unwrap();
    assert!(seen.iter().any(|group| group.status == usher_domain::enrollment::ProvisioningStatus::Disabled));
    world.delete(Group, "b").await.unwrap();
    world.put(Group, "a", x509_group("a", &ca("x"), None)).await.unwrap();
    assert!(registry.symmetric_key_groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn there_are_at_most_as_many_symmetric_key_groups_as_a_token_is_tried_against() {
    let world = world().await;
    for n in 0..SYMMETRIC_KEY_GROUPS_MAX {
        world.put(Group, &format!("g{n}"), group(&format!("g{n}"))).await.unwrap();
    }
    assert_eq!(code(world.put(Group, "more", group("more")).await), Some(ErrorCode::QuotaExceeded));
    assert!(world.put(Group, "g5", group("g5")).await.is_ok(), "one that is there can be changed");
    world.delete(Group, "g5").await.unwrap();
    assert!(world.put(Group, "more", group("more")).await.is_ok());
}

#[tokio::test]
async fn groups_made_at_the_same_time_are_all_listed() {
    let world = world().await;
    let puts = (0..4).map(|n| {
        let (tenant, id) = (world.tenant.clone(), format!("g{n}"));
        tokio::spawn(async move {
            let document = world::document(group(&id)).unwrap();
            tenant.put_enrollment(Group, &id, document, usher_registry::IfMatch::Unsaid, world::now()).await.is_ok()
        })
    });
    let mut made = 0;
    for put in puts.collect::<Vec<_>>() {
        made += usize::from(put.await.unwrap());
    }
    assert_eq!(world.tenant.registry.symmetric_key_groups().await.unwrap().len(), made);
    assert_eq!(made, 4);
}
