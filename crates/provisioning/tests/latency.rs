//! Allocation by lowest latency, from the device's address to its hub.

#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use serde_json::json;
use usher_domain::enrollment::AllocationPolicy;
use usher_latency::{LatencyMap, Probes, read};
use world::{KEY, World};

const TABLE: &str = "[networks]\n\"192.0.2.0/24\" = \"west\"\n\"2001:db8::/32\" = { \"b.example\" = 3, \"a.example\" = 30 }\n\
                     [regions.west]\n\"a.example\" = 5\n\"b.example\" = 70\n";

async fn world(table: &str) -> World {
    let mut world = World::new(7).await;
    let map = LatencyMap::new(read(table).unwrap(), None, Arc::new(Probes::default()));
    world.engine = world.engine.clone().with_latency(map);
    world
}

/// Where devices `0` to `7` at an address go.
async fn hubs_of(world: &World, name: &str, address: &str) -> Vec<String> {
    let mut hubs = Vec::new();
    for n in 0..8 {
        let id = format!("{name}-{n}");
        world.enroll_device(&id, json!({ "allocationPolicy": "geoLatency" })).await;
        let mut claim = world.claim(&id, &KEY);
        claim.peer = Some(address.parse().unwrap());
        let document = world.register_as(&claim, b"").await.unwrap();
        hubs.push(document.registration_state.unwrap().assigned_hub.unwrap());
    }
    hubs.sort();
    hubs.dedup();
    hubs
}

#[tokio::test]
async fn each_network_goes_to_its_nearest_hub() {
    let world = world(TABLE).await;
    assert_eq!(hubs_of(&world, "west", "192.0.2.9").await, ["a.example"]);
    assert_eq!(hubs_of(&world, "mapped", "::ffff:192.0.2.9").await, ["a.example"]);
    assert_eq!(hubs_of(&world, "six", "2001:db8::9").await, ["b.example"]);
}

#[tokio::test]
async fn where_nothing_tells_the_hubs_apart_devices_are_spread() {
    let world = world(TABLE).await;
    assert_eq!(hubs_of(&world, "elsewhere", "203.0.113.1").await, ["a.example", "b.example"]);
}

#[tokio::test]
async fn the_services_policy_counts_and_an_enrollments_hubs_limit_it() {
    let world = world(TABLE).await;
    let stored = world.directory.service("world").await.unwrap().unwrap();
    let mut service = stored.value;
    service.allocation = AllocationPolicy::GeoLatency;
    world.directory.update(service, stored.etag).await.unwrap();
    for (id, extra, hub) in [("free", json!({}), "a.example"), ("bound", json!({ "iotHubs": ["b.example"] }), "b.example")] {
        world.enroll_device(id, extra).await;
        let mut claim = world.claim(id, &KEY);
        claim.peer = Some("192.0.2.9".parse().unwrap());
        let document = world.register_as(&claim, b"").await.unwrap();
        assert_eq!(document.registration_state.unwrap().assigned_hub.as_deref(), Some(hub), "{id}");
    }
}
