//! Services: found by every name they have, on every node, and never in each other's records.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use usher_domain::{ErrorCode, IdScope};
use usher_registry::{Directory, Kind::Individual};
use world::{code, individual, service, world};

#[tokio::test]
async fn a_service_is_found_by_name_scope_and_host_in_any_case() {
    let world = world().await;
    let directory = &world.directory;
    let scope = IdScope::parse("0NE0000aaaa").unwrap();
    assert_eq!(directory.by_scope(&scope).await.unwrap().unwrap().service.name, "plant");
    assert_eq!(directory.by_host("PLANT.example").await.unwrap().unwrap().service.name, "plant");
    assert!(directory.by_name("Plant").await.unwrap().is_some());
    assert!(directory.by_host("other.example").await.unwrap().is_none());
}

#[tokio::test]
async fn names_scopes_and_hosts_belong_to_one_service() {
    let world = world().await;
    let mut same_host = service("second", "0ne0000BBBB");
    same_host.host_name = "Plant.Example".into();
    for taken in [service("plant", "0ne0000BBBB"), service("PLANT", "0ne0000BBBB"), service("second", "0NE0000AAAA"), same_host] {
        assert_eq!(code(world.directory.create(taken).await), Some(ErrorCode::Conflict));
    }
    let second = world.directory.create(service("second", "0ne0000BBBB")).await.unwrap();
    assert_ne!(second.service.tenant, world.tenant.service.tenant);
    assert_eq!(world.directory.tenants().await.unwrap().len(), 2);
}

#[tokio::test]
async fn one_service_s_records_are_not_another_s() {
    let world = world().await;
    let second = world.directory.create(service("second", "0ne0000BBBB")).await.unwrap();
    world.put(Individual, "d", individual("d")).await.unwrap();
    assert!(second.registry.individual(&world::rid("d")).await.unwrap().is_none());
    assert_eq!(second.registry.usage(&world::now().month()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_is_seen_at_once_on_every_node() {
    let world = world().await;
    let other_node = Directory::open(Arc::new(world.store.clone()), world.master.clone()).await.unwrap();
    assert!(other_node.by_host("plant.example").await.unwrap().is_some());
    let found = world.directory.service("plant").await.unwrap().unwrap();
    let mut changed = found.value.clone();
    changed.host_name = "moved.example".into();
    changed.hubs.truncate(1);
    let etag = world.directory.update(changed.clone(), found.etag).await.unwrap();
    assert!(other_node.by_host("plant.example").await.unwrap().is_none());
    assert_eq!(other_node.by_host("moved.example").await.unwrap().unwrap().service.hubs.len(), 1);
    assert_eq!(code(world.directory.update(changed.clone(), found.etag).await), Some(ErrorCode::PreconditionFailed));
    // The old host name is free again.
    let mut second = service("second", "0ne0000BBBB");
    second.host_name = "plant.example".into();
    assert!(world.directory.create(second).await.is_ok());
    changed.host_name = "plant.example".into();
    assert!(world.directory.update(changed, etag).await.is_err(), "it is taken");
}

#[tokio::test]
async fn a_tenant_number_cannot_be_chosen_or_changed() {
    let world = world().await;
    let found = world.directory.service("plant").await.unwrap().unwrap();
    let mut changed = found.value.clone();
    changed.tenant = 77;
    world.directory.update(changed, found.etag).await.unwrap();
    assert_eq!(world.directory.service("plant").await.unwrap().unwrap().value.tenant, found.value.tenant);
}

#[tokio::test]
async fn what_cannot_be_a_service_is_refused() {
    let world = world().await;
    let base = || service("second", "0ne0000BBBB");
    let (mut name, mut host, mut key, mut twice, mut hubs) = (base(), base(), base(), base(), base());
    name.name = "a/b".into();
    host.host_name = "host:443".into();
    key.policies[0].primary = usher_domain::Secret::new("short");
    twice.policies.push(twice.policies[0].clone());
    hubs.hubs.push(hubs.hubs[0].clone());
    for wrong in [name, host, key, twice, hubs] {
        assert_eq!(code(world.directory.create(wrong).await), Some(ErrorCode::BadRequest));
    }
}

#[tokio::test]
async fn services_made_at_the_same_time_get_numbers_of_their_own() {
    let world = world().await;
    let other_node = Directory::open(Arc::new(world.store.clone()), world.master.clone()).await.unwrap();
    let (second, third) = (service("second", "0ne0000BBBB"), service("third", "0ne0000CCCC"));
    let (a, b) = tokio::join!(world.directory.create(second), other_node.create(third));
    let made: Vec<u32> = [a, b].into_iter().flatten().map(|tenant| tenant.service.tenant).collect();
    let mut numbers = made.clone();
    numbers.dedup();
    assert!(!made.is_empty() && numbers.len() == made.len(), "{made:?}");
}

fn resource_group(name: &str, location: &str) -> usher_domain::resource::ResourceGroup {
    usher_domain::resource::ResourceGroup { name: name.into(), location: location.into(), tags: Default::default() }
}

#[tokio::test]
async fn resource_groups_are_made_once_and_keep_name_and_location() {
    let world = world().await;
    let (made, created) = world.directory.put_resource_group(&resource_group("Works", "westeurope")).await.unwrap();
    assert!(created && made.name == "Works");
    let mut tagged = resource_group("WORKS", "West Europe");
    tagged.tags.insert("site".into(), "north".into());
    let (changed, created) = world.directory.put_resource_group(&tagged).await.unwrap();
    assert!(!created && changed.name == "Works" && changed.location == "westeurope" && changed.tags == tagged.tags);
    let moved = world.directory.put_resource_group(&resource_group("works", "local")).await.unwrap_err();
    assert_eq!(moved.code, ErrorCode::Conflict);
    assert_eq!(world.directory.resource_groups().await.unwrap(), [changed]);
    assert!(world.directory.delete_resource_group("works").await.unwrap());
    assert!(!world.directory.delete_resource_group("works").await.unwrap());
}
