//! Each limit of what operators write, at its edge: the last that is taken and the first that is refused, with its code.
#![allow(clippy::unwrap_used)]

mod world;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use usher_domain::{
    ErrorCode, HubName,
    limits::{
        BULK_ITEMS_MAX, DEVICE_ID_CHARS_MAX, ID_CHARS_MAX, KEY_BYTES_MAX, KEY_BYTES_MIN, LINKED_HUBS_MAX, PAGE_ITEMS_MAX, POLICIES_MAX,
        TWIN_BYTES_MAX, TWIN_LEVELS_MAX,
    },
    service::{LinkedHub, ProvisioningService},
};
use usher_registry::{BulkRequest, Filter, GROUPS_PER_SIGNER_MAX, Kind, PageRequest, QUERY_CHARS_MAX, bulk_from_json};
use world::{World, ca, code, group, individual, service, with, world, x509_group};

/// An enrollment that is taken, and one that goes too far, refused with this code.
async fn edge(world: &World, kind: Kind, taken: Value, refused: Value, why: ErrorCode) {
    let id = |body: &Value| body[kind.id_member()].as_str().unwrap().to_owned();
    world.put(kind, &id(&taken), taken.clone()).await.unwrap();
    assert_eq!(code(world.put(kind, &id(&refused), refused.clone()).await), Some(why));
}

/// The individual enrollment `d` with this member.
fn having(member: &str, value: Value) -> Value {
    with(individual("d"), json!({member: value}))
}

#[tokio::test]
async fn ids() {
    let world = world().await;
    let (long, longer) = ("a".repeat(ID_CHARS_MAX), "a".repeat(ID_CHARS_MAX + 1));
    edge(&world, Kind::Individual, individual(&long), individual(&longer), ErrorCode::InvalidId).await;
    edge(&world, Kind::Group, group(&long), group(&longer), ErrorCode::InvalidId).await;
    let device_id = |chars: usize| having("deviceId", json!("a".repeat(chars)));
    edge(&world, Kind::Individual, device_id(DEVICE_ID_CHARS_MAX), device_id(DEVICE_ID_CHARS_MAX + 1), ErrorCode::InvalidId).await;
}

#[tokio::test]
async fn symmetric_keys() {
    let world = world().await;
    let keys = |bytes: usize| {
        let key = STANDARD.encode(vec![7; bytes]);
        having("attestation", json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}}))
    };
    edge(&world, Kind::Individual, keys(KEY_BYTES_MIN), keys(KEY_BYTES_MIN - 1), ErrorCode::InvalidBody).await;
    edge(&world, Kind::Individual, keys(KEY_BYTES_MAX), keys(KEY_BYTES_MAX + 1), ErrorCode::InvalidBody).await;
}

#[tokio::test]
async fn initial_twins() {
    let world = world().await;
    let twin = |tags: Value| having("initialTwin", json!({"tags": tags, "properties": {"desired": {}}}));
    // What the twin is stored as, without the text.
    let frame = serde_json::to_vec(&usher_domain::hub_device::InitialTwin {
        tags: json!({"a": ""}).as_object().unwrap().clone(),
        ..Default::default()
    });
    let room = TWIN_BYTES_MAX - frame.unwrap().len();
    let text = |chars: usize| twin(json!({"a": "x".repeat(chars)}));
    edge(&world, Kind::Individual, text(room), text(room + 1), ErrorCode::InvalidBody).await;
    // The section is the first level.
    let nested = |levels: usize| twin((1..levels).fold(json!({}), |inner, _| json!({"k": inner})));
    edge(&world, Kind::Individual, nested(TWIN_LEVELS_MAX), nested(TWIN_LEVELS_MAX + 1), ErrorCode::InvalidBody).await;
    let listed = |levels: usize| twin(json!({"k": (2..levels).fold(json!([]), |inner, _| json!([inner]))}));
    edge(&world, Kind::Individual, listed(TWIN_LEVELS_MAX), listed(TWIN_LEVELS_MAX + 1), ErrorCode::InvalidBody).await;
}

#[tokio::test]
async fn hubs_of_an_enrollment_and_webhooks() {
    let world = world().await;
    let hubs = |count: usize| having("iotHubs", json!(vec!["hub-a.example"; count]));
    edge(&world, Kind::Individual, hubs(LINKED_HUBS_MAX), hubs(LINKED_HUBS_MAX + 1), ErrorCode::InvalidBody).await;
    let webhook = |chars: usize, version: usize| {
        let url = format!("https://{}", "h".repeat(chars - "https://".len()));
        let definition = json!({"webhookUrl": url, "apiVersion": "v".repeat(version)});
        with(individual("d"), json!({"allocationPolicy": "custom", "customAllocationDefinition": definition}))
    };
    edge(&world, Kind::Individual, webhook(2048, 1), webhook(2049, 1), ErrorCode::InvalidBody).await;
    edge(&world, Kind::Individual, webhook(100, 64), webhook(100, 65), ErrorCode::InvalidBody).await;
}

#[tokio::test]
async fn bulk_requests_and_queries() {
    let items = |count: usize| {
        let items: Vec<Value> = (0..count).map(|n| individual(&format!("d{n}"))).collect();
        BulkRequest::read(bulk_from_json(json!({"mode": "create", "enrollments": items}).to_string().as_bytes())?, Kind::Individual)
    };
    assert!(items(1).is_ok() && items(BULK_ITEMS_MAX).is_ok());
    assert_eq!(code(items(0)), Some(ErrorCode::InvalidBody));
    assert_eq!(code(items(BULK_ITEMS_MAX + 1)), Some(ErrorCode::InvalidBody));
    let query = |chars: usize| Filter::parse(Some(&format!("{:<chars$}", "SELECT *")), Kind::Individual);
    assert!(query(QUERY_CHARS_MAX).is_ok());
    assert_eq!(code(query(QUERY_CHARS_MAX + 1)), Some(ErrorCode::InvalidBody));
    let page = |wished: usize| PageRequest { max_items: Some(wished), continuation: None }.items();
    assert_eq!([1, PAGE_ITEMS_MAX, PAGE_ITEMS_MAX + 1].map(page), [1, PAGE_ITEMS_MAX, PAGE_ITEMS_MAX], "larger wishes are cut");
}

#[tokio::test]
async fn groups_under_one_name_of_an_authority() {
    let world = world().await;
    let certificate = ca("shared");
    for n in 0..GROUPS_PER_SIGNER_MAX {
        world.put(Kind::Group, &format!("g{n}"), x509_group(&format!("g{n}"), &certificate, None)).await.unwrap();
    }
    assert_eq!(code(world.put(Kind::Group, "more", x509_group("more", &certificate, None)).await), Some(ErrorCode::QuotaExceeded));
}

#[tokio::test]
async fn hubs_and_policies_of_a_service() {
    let world = world().await;
    let base = || service("second", "0ne0000BBBB");
    let with_hubs = |count: usize| {
        let linked = |n: usize| LinkedHub { name: HubName::parse(&format!("hub-{n}.example")).unwrap(), ..base().hubs[0].clone() };
        ProvisioningService { hubs: (0..count).map(linked).collect(), ..base() }
    };
    assert_eq!(code(world.directory.create(with_hubs(LINKED_HUBS_MAX + 1)).await), Some(ErrorCode::BadRequest));
    let made = world.directory.create(with_hubs(LINKED_HUBS_MAX)).await.unwrap();
    let with_policies = |count: usize| {
        let named = |n: usize| usher_domain::service::AccessPolicy { name: format!("policy-{n}"), ..base().policies[0].clone() };
        ProvisioningService { policies: (0..count).map(named).collect(), ..(*made.service).clone() }
    };
    let etag = world.directory.service("second").await.unwrap().unwrap().etag;
    assert_eq!(code(world.directory.update(with_policies(POLICIES_MAX + 1), etag).await), Some(ErrorCode::BadRequest));
    assert!(world.directory.update(with_policies(POLICIES_MAX), etag).await.is_ok());
}
