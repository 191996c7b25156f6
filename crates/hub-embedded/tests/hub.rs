//! A hub over a store in memory, as provisioning, operators and devices see it.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use serde_json::{Value, json};
use usher_domain::{
    DeviceId, HubName, Secret, Timestamp,
    clock::{ManualClock, SeededEntropy},
    hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
    service::{HubConnection, LinkedHub},
};
use usher_hub::{Hub, HubError, Hubs, TwinWrite};
use usher_hub_embedded::{
    Code, EmbeddedHub, EmbeddedHubs,
    cloud_message::{CloudMessage, LIFETIME_DEFAULT_MS, QUEUE_MESSAGES_MAX},
    etag::Condition,
    hub::{Session, Subscription},
    live::{Closing, Event, Notice},
    query,
};
use usher_records::Vault;
use usher_seal::MasterKey;
use usher_store::{
    Store, TenantId,
    memory::{Fault as StoreFault, MemoryStore},
};

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

struct World {
    store: MemoryStore,
    master: MasterKey,
    clock: Arc<ManualClock>,
    hubs: EmbeddedHubs,
}

impl World {
    async fn new() -> Self {
        let (store, master) = (MemoryStore::default(), MasterKey::generate().unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let hubs = open(&store, &master, &clock).await;
        Self { store, master, clock, hubs }
    }

    async fn hub(&self) -> Arc<EmbeddedHub> {
        self.hubs.ensure(&name("hub.example")).await.unwrap()
    }

    async fn restarted(self) -> Self {
        let hubs = open(&self.store, &self.master, &self.clock).await;
        Self { hubs, ..self }
    }
}

async fn open(store: &MemoryStore, master: &MasterKey, clock: &Arc<ManualClock>) -> EmbeddedHubs {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    let vault = Vault::open_tenant(store, master, TenantId(7)).await.unwrap();
    EmbeddedHubs::open(vault, clock.clone(), Arc::new(SeededEntropy::new(1))).await.unwrap()
}

fn name(text: &str) -> HubName {
    HubName::parse(text).unwrap()
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

fn spec(device: &str, credential: DeviceCredential) -> DeviceSpec {
    DeviceSpec { device_id: id(device), credential, iot_edge: false }
}

fn by_keys() -> DeviceCredential {
    DeviceCredential::SymmetricKeys { primary: Secret::new(KEY), secondary: Secret::new(KEY) }
}

fn by_thumbprint() -> DeviceCredential {
    DeviceCredential::Thumbprints { primary: "AB".repeat(32), secondary: None }
}

fn twin(site: &str, rate: u32) -> InitialTwin {
    let object = |value: Value| value.as_object().unwrap().clone();
    InitialTwin { tags: object(json!({ "site": site })), desired: object(json!({ "rate": rate })) }
}

#[tokio::test]
async fn provisioning_makes_a_device_once_and_leaves_its_twin_alone() {
    let world = World::new().await;
    let hub = world.hub().await;
    let (first, second) = (twin("a", 1), twin("b", 2));
    for initial in [&first, &second] {
        hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(initial)).await.unwrap();
    }
    assert_eq!(hub.read_twin(&id("d")).await.unwrap(), Some(first));
    assert_eq!(hub.statistics().await.unwrap().total, 1);
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::Replace(&second)).await.unwrap();
    assert_eq!(hub.read_twin(&id("d")).await.unwrap(), Some(second));
    assert_eq!(hub.read_twin(&id("D")).await.unwrap(), None, "device IDs are case-sensitive");
}

#[tokio::test]
async fn a_repeat_after_a_lost_commit_leaves_one_whole_device() {
    let world = World::new().await;
    let hub = world.hub().await;
    world.store.fail_next([StoreFault::After]);
    let initial = twin("a", 1);
    let lost = hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&initial)).await;
    assert!(lost.unwrap_err().is_transient());
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&initial)).await.unwrap();
    assert_eq!(hub.read_twin(&id("d")).await.unwrap(), Some(initial));
    assert_eq!(hub.statistics().await.unwrap().total, 1);
}

#[tokio::test]
async fn a_new_credential_ends_the_connection_made_with_the_old_one() {
    let world = World::new().await;
    let hub = world.hub().await;
    let initial = twin("a", 1);
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&initial)).await.unwrap();
    let mut connection = hub.connect(&hub.device(&id("d")).await.unwrap()).await.unwrap();
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&initial)).await.unwrap();
    assert_eq!(hub.connected(), 1, "the same credential changes nothing");
    let before = hub.device(&id("d")).await.unwrap();
    hub.ensure_device(&spec("d", by_thumbprint()), TwinWrite::IfCreated(&initial)).await.unwrap();
    assert_eq!(connection.next().await, Event::Close(Closing::NoLongerAllowed));
    assert_eq!(hub.connect(&before).await.err().unwrap().code, Code::IotHubUnauthorizedAccess);
}

#[tokio::test]
async fn removal_is_idempotent_and_takes_everything_along() {
    let world = World::new().await;
    let hub = world.hub().await;
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&twin("a", 1))).await.unwrap();
    hub.send(&id("d"), &CloudMessage::default()).await.unwrap();
    let mut connection = hub.connect(&hub.device(&id("d")).await.unwrap()).await.unwrap();
    hub.delete_device(&id("d")).await.unwrap();
    hub.delete_device(&id("d")).await.unwrap();
    assert_eq!(connection.next().await, Event::Close(Closing::NoLongerAllowed));
    assert_eq!(hub.statistics().await.unwrap().total, 0);
    hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&twin("a", 1))).await.unwrap();
    assert_eq!(hub.next_message(&id("d"), 0).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_hub_will_not_take_is_rejected_for_good() {
    let world = World::new().await;
    let hub = world.hub().await;
    let bad = spec("d", DeviceCredential::Thumbprints { primary: "xyz".into(), secondary: None });
    let refused = hub.ensure_device(&bad, TwinWrite::IfCreated(&InitialTwin::default())).await.unwrap_err();
    assert!(matches!(refused, HubError::Rejected(_)));
    let large = InitialTwin { tags: (0..10).map(|n| (n.to_string(), json!("x".repeat(4_000)))).collect(), ..InitialTwin::default() };
    assert!(matches!(hub.ensure_device(&spec("d", by_keys()), TwinWrite::IfCreated(&large)).await, Err(HubError::Rejected(_))));
    assert_eq!(hub.read_twin(&id("d")).await.unwrap(), None);
}

#[tokio::test]
async fn the_registry_creates_updates_and_removes_under_conditions() {
    let world = World::new().await;
    let hub = world.hub().await;
    let d = id("d");
    let made = hub.put_device(&d, &json!({"deviceId": "d", "status": "disabled"}), &Condition::None).await.unwrap();
    let again = hub.put_device(&d, &json!({}), &Condition::None).await.unwrap_err();
    assert_eq!(again.code, Code::DeviceAlreadyExists);
    assert_eq!(hub.statistics().await.unwrap().disabled, 1);
    let stale = Condition::Match("AAAAAAAAAAA=".into());
    assert_eq!(hub.put_device(&d, &json!({}), &stale).await.unwrap_err().code, Code::PreconditionFailed);
    let enabled = hub.put_device(&d, &json!({"status": "enabled"}), &Condition::Match(made.etag())).await.unwrap();
    assert_eq!(enabled.authentication, made.authentication, "keys that are left out are kept");
    assert_eq!(hub.statistics().await.unwrap().disabled, 0);
    assert_eq!(hub.put_device(&id("e"), &json!({}), &Condition::Any).await.unwrap_err().code, Code::DeviceNotFound);
    assert_eq!(hub.put_device(&d, &json!({"deviceId": "x"}), &Condition::Any).await.unwrap_err().code, Code::ArgumentInvalid);
    assert_eq!(hub.remove_device(&d, &stale).await.unwrap_err().code, Code::PreconditionFailed);
    hub.remove_device(&d, &Condition::Match(enabled.etag())).await.unwrap();
    assert_eq!(hub.remove_device(&d, &Condition::Any).await.unwrap_err().code, Code::DeviceNotFound);
}

#[tokio::test]
async fn a_connected_device_hears_of_desired_changes_in_order() {
    let world = World::new().await;
    let hub = world.hub().await;
    hub.put_device(&id("d"), &json!({}), &Condition::None).await.unwrap();
    let mut connection = hub.connect(&hub.device(&id("d")).await.unwrap()).await.unwrap();
    for rate in [1, 2] {
        hub.patch_twin(&id("d"), &json!({"properties": {"desired": {"rate": rate}}}), &Condition::Any).await.unwrap();
    }
    hub.patch_twin(&id("d"), &json!({"tags": {"x": 1}}), &Condition::Any).await.unwrap();
    for rate in [1, 2] {
        let Event::Notice(Notice::Desired(patch)) = connection.next().await else { panic!("a patch") };
        assert_eq!(patch.document(), json!({"rate": rate, "$version": rate + 1}));
    }
    assert_eq!(hub.report(&id("d"), &json!({"rate": 2})).await.unwrap(), 2);
    assert!(hub.presence(&id("d")).await.unwrap().connected);
}

#[tokio::test]
async fn many_writers_of_one_twin_lose_nothing() {
    let world = World::new().await;
    let hub = world.hub().await;
    hub.put_device(&id("d"), &json!({}), &Condition::None).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move { hub.report(&id("d"), &json!({ format!("k{n}"): n })).await.unwrap() })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let device = hub.device(&id("d")).await.unwrap();
    assert_eq!((device.twin.reported().values().len(), device.twin.reported().version()), (8, 9));
}

#[tokio::test]
async fn messages_wait_durably_until_acknowledged_or_expired() {
    let world = World::new().await;
    let hub = world.hub().await;
    let d = id("d");
    hub.put_device(&d, &json!({}), &Condition::None).await.unwrap();
    for n in 0..QUEUE_MESSAGES_MAX {
        let message = CloudMessage { body: n.to_string().into_bytes(), ..CloudMessage::default() };
        hub.send(&d, &message).await.unwrap();
    }
    let full = hub.send(&d, &CloudMessage::default()).await.unwrap_err();
    assert_eq!(full.code, Code::DeviceMaximumQueueDepthExceeded);
    drop(hub);
    let world = world.restarted().await;
    let hub = world.hub().await;
    let (sequence, message) = hub.next_message(&d, 0).await.unwrap().unwrap();
    assert_eq!(message.body, b"0");
    assert!(hub.complete_message(&d, sequence).await.unwrap());
    assert!(!hub.complete_message(&d, sequence).await.unwrap());
    assert_eq!(hub.next_message(&d, 0).await.unwrap().unwrap().1.body, b"1");
    assert_eq!(hub.presence(&d).await.unwrap().messages_waiting, QUEUE_MESSAGES_MAX - 1);
    world.clock.advance_millis(LIFETIME_DEFAULT_MS);
    assert_eq!(hub.next_message(&d, 0).await.unwrap(), None);
    hub.send(&d, &CloudMessage::default()).await.unwrap();
    assert_eq!(hub.purge_messages(&d).await.unwrap(), 1);
    assert_eq!(hub.send(&id("e"), &CloudMessage::default()).await.unwrap_err().code, Code::DeviceNotFound);
}

#[tokio::test]
async fn queries_page_through_all_matches() {
    let world = World::new().await;
    let hub = world.hub().await;
    for n in 0..25 {
        let site = if n % 2 == 0 { "a" } else { "b" };
        hub.ensure_device(&spec(&format!("d{n}"), by_keys()), TwinWrite::IfCreated(&twin(site, n))).await.unwrap();
    }
    let query = query::parse("SELECT deviceId FROM devices WHERE tags.site = 'a'").unwrap();
    let (mut found, mut continuation, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = hub.query(&query, 5, continuation.as_deref()).await.unwrap();
        assert!(page.items.len() <= 5);
        found.extend(page.items.iter().map(|item| item["deviceId"].as_str().unwrap().to_owned()));
        pages += 1;
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!((found.len(), pages), (13, 3));
    assert!(hub.query(&query, 5, Some("made-up")).await.is_err());
    let count = query::parse("SELECT COUNT() AS n FROM devices WHERE tags.site = 'b'").unwrap();
    assert_eq!(hub.query(&count, 5, None).await.unwrap().items, [json!({"n": 12})]);
    assert_eq!(hub.list(10).await.unwrap().len(), 10);
}

#[tokio::test]
async fn a_bulk_request_tells_what_failed() {
    let world = World::new().await;
    let hub = world.hub().await;
    let item = |id: &str, mode: &str| json!({"id": id, "importMode": mode, "tags": {"t": 1}});
    let items = [
        item("a", "create"),
        item("a", "create"),
        item("b", "createOrUpdate"),
        item("c", "update"),
        item("b", "delete"),
        item("a", "updateTwin"),
    ];
    let failed = hub.bulk(&items).await.unwrap();
    let failed: Vec<_> = failed.iter().map(|error| (error.device_id.as_str(), error.error_code.as_str())).collect();
    assert_eq!(failed, [("a", "DeviceAlreadyExists"), ("c", "DeviceNotFound")]);
    assert_eq!(hub.statistics().await.unwrap().total, 1);
}

#[tokio::test]
async fn hubs_are_isolated_and_come_back_with_their_keys() {
    let world = World::new().await;
    let (first, second) = (world.hub().await, world.hubs.ensure(&name("other.example")).await.unwrap());
    first.put_device(&id("d"), &json!({}), &Condition::None).await.unwrap();
    assert_eq!(second.device(&id("d")).await.unwrap_err().code, Code::DeviceNotFound);
    assert!(second.list(10).await.unwrap().is_empty());
    assert_ne!(first.policy("iothubowner").unwrap().primary, second.policy("iothubowner").unwrap().primary);
    let keys = first.policies();
    drop((first, second));
    let world = world.restarted().await;
    assert_eq!(world.hubs.names().len(), 2);
    assert_eq!(world.hub().await.policies(), keys);
    let linked = |hub: &str| LinkedHub {
        name: name(hub),
        region: "here".into(),
        weight: 1,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    };
    assert!(world.hubs.connect(1, &linked("other.example")).is_some());
    assert!(world.hubs.connect(1, &linked("none.example")).is_none());
}

#[tokio::test]
async fn sessions_outlive_connections_until_forgotten() {
    let world = World::new().await;
    let hub = world.hub().await;
    let d = id("d");
    hub.put_device(&d, &json!({}), &Condition::None).await.unwrap();
    let session = Session { subscriptions: vec![Subscription { filter: "$iothub/twin/res/#".into(), acknowledged: true }] };
    hub.keep_session(&d, &session).await.unwrap();
    let commits = world.store.commits();
    hub.keep_session(&d, &session).await.unwrap();
    assert_eq!(world.store.commits(), commits, "an unchanged session costs no write");
    assert_eq!(hub.session(&d).await.unwrap(), Some(session));
    hub.forget_session(&d).await.unwrap();
    assert_eq!(hub.session(&d).await.unwrap(), None);
}
