//! The tool itself, on stores of thousands: what it loads is what the service makes, and all of it is there. Nothing is said about time.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use serde_json::Value;
use usher_domain::DeviceId;
use usher_registry::{Filter, Kind, PageRequest};

use crate::{
    device::{Device, Part},
    ground::{Ground, Place},
    load::{Loading, Size, load},
    process::Workers,
    slice,
};

const SMALL: Size = Size { registered: 10_000, fresh: 200 };
const LARGE: Size = Size { registered: 50_000, fresh: 400 };
/// What no two devices have alike, whoever makes them.
const VOLATILE: [&str; 5] = ["operation_id", "created_at", "updated_at", "generation_id", "t"];

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("usher-scale-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    async fn open(&self) -> Arc<Ground> {
        Arc::new(Ground::open(&Place { folder: self.0.clone(), database: None }).await.unwrap())
    }

    async fn load(&self, ground: &Arc<Ground>, target: Size) {
        load(ground, &Loading { folder: self.0.clone(), target, keep_free: 0, progress: false }).await.unwrap();
        assert_eq!(Size::read(&self.0).unwrap(), target);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_filled_twice_holds_every_device_once_and_registers_them() {
    let folder = Folder::new("filled");
    let ground = folder.open().await;
    for size in [SMALL, LARGE] {
        folder.load(&ground, size).await;
        assert_eq!(ground.counts().await.unwrap(), expected(size));
    }
    // Each page is metered as well.
    let pages = assert_all_listed(&ground, LARGE).await;
    let [enrollments, registrations, devices, metered] = ground.counts().await.unwrap();
    assert_eq!([enrollments, registrations, devices, metered - pages], expected(LARGE));
    let cost = slice::run(&ground, LARGE, [100, 100], Workers { postmaster: None }).await.unwrap();
    assert_eq!(cost.registrations, 200);
    // The new ones were registered, then their registrations deleted, each an operation.
    assert_eq!(ground.counts().await.unwrap(), [enrollments, registrations, devices, metered + 300]);
    drop(ground);
    assert_eq!(folder.open().await.counts().await.unwrap(), [enrollments, registrations, devices, metered + 300], "all of it is durable");
}

fn expected(size: Size) -> [i64; 4] {
    let [registered, fresh] = [size.registered, size.fresh].map(|number| i64::try_from(number).unwrap());
    [registered + fresh, registered, registered, 2 * registered + fresh]
}

/// Reads every page; returns how many there were.
async fn assert_all_listed(ground: &Ground, size: Size) -> i64 {
    let (mut page, mut ids, mut assigned, mut pages) = (PageRequest { max_items: Some(1000), continuation: None }, BTreeSet::new(), 0, 0);
    loop {
        let listing = ground.tenant.registry.query(Kind::Individual, &Filter::default(), &page, ground.clock.now()).await.unwrap();
        pages += 1;
        for enrollment in listing.items {
            assigned += u64::from(enrollment.registration_state.is_some_and(|state| state.assigned_hub.is_some()));
            ids.insert(enrollment.registration_id.unwrap());
        }
        page.continuation = listing.continuation;
        if page.continuation.is_none() {
            break;
        }
    }
    assert_eq!((ids.len() as u64, assigned), (size.registered + size.fresh, size.registered));
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_generated_is_what_the_service_makes() {
    let (generated, made) = (Folder::new("generated"), Folder::new("made"));
    let (one, other) = (generated.open().await, made.open().await);
    generated.load(&one, Size { registered: 3, fresh: 1 }).await;
    for (part, number) in [(Part::Registered, 1), (Part::Registered, 2), (Part::Fresh, 0)] {
        let device = Device::new(part, number).unwrap();
        other.enroll(&device).await.unwrap();
        if part == Part::Registered {
            other.register(&device).await.unwrap();
        }
        assert_eq!(records(&one, &device).await, records(&other, &device).await);
    }
}

/// Everything that is kept of a device, without what differs each time.
async fn records(ground: &Ground, device: &Device) -> Value {
    let registry = &ground.tenant.registry;
    let enrollment = registry.individual(&device.id).await.unwrap().unwrap().value;
    let registration = registry.registration(&device.id).await.unwrap().map(|found| found.value);
    let on_hub = ground.hub().unwrap().device(&DeviceId::parse(device.id.as_str()).unwrap()).await.ok();
    let mut all = serde_json::json!([enrollment, registration, on_hub]);
    forget_volatile(&mut all);
    all
}

fn forget_volatile(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !VOLATILE.contains(&name.as_str()));
            members.values_mut().for_each(forget_volatile);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_volatile),
        _ => {}
    }
}
