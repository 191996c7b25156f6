//! Numbers of enrollments: never one more than the service may hold, whoever makes them and however many at once.
#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use usher_domain::{ErrorCode, service_limits::ServiceLimits};
use usher_registry::{IfMatch, Kind, Tenant};
use world::{World, ca, code, document, group, individual, now, world, x509_group};

/// A service with limits of its own.
async fn limited(limits: ServiceLimits) -> World {
    let mut world = world().await;
    limit(&mut world.tenant, limits);
    world
}

fn limit(tenant: &mut Tenant, limits: ServiceLimits) {
    tenant.service = Arc::new(usher_domain::service::ProvisioningService { limits, ..(*tenant.service).clone() });
}

fn individuals(most: u32) -> ServiceLimits {
    ServiceLimits { individual_enrollments: Some(most), ..ServiceLimits::NONE }
}

/// Makes enrollments all at once; returns how many were made. Every other one is refused for the limit.
async fn make(tenant: &Tenant, names: impl Iterator<Item = String>) -> usize {
    let makings = names.map(|id| {
        let tenant = tenant.clone();
        tokio::spawn(async move {
            let made = tenant.put_enrollment(Kind::Individual, &id, document(individual(&id)).unwrap(), IfMatch::Unsaid, now()).await;
            made.map(|_| ()).map_err(|error| error.code)
        })
    });
    let mut made = 0;
    for making in makings.collect::<Vec<_>>() {
        match making.await.unwrap() {
            Ok(()) => made += 1,
            Err(code) => assert_eq!(code, ErrorCode::QuotaExceeded),
        }
    }
    made
}

#[tokio::test]
async fn the_last_place_is_given_and_one_more_is_refused() {
    let world = limited(individuals(2)).await;
    for id in ["a", "b"] {
        world.put(Kind::Individual, id, individual(id)).await.unwrap();
    }
    let (status, message) = world.refusal(Kind::Individual, individual("c")).await;
    assert_eq!(status, 403);
    assert!(message.contains("2 individual enrollments"), "{message}");
    assert!(world.put(Kind::Individual, "A", individual("A")).await.is_ok(), "one that is there can be changed");
    assert!(world.put(Kind::Group, "g", group("g")).await.is_ok(), "groups have places of their own");
    world.delete(Kind::Individual, "b").await.unwrap();
    assert!(world.put(Kind::Individual, "c", individual("c")).await.is_ok());
    assert_eq!(world.tenant.registry.individuals_held().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_as_many_are_made_as_there_are_places() {
    let world = limited(individuals(20)).await;
    assert_eq!(make(&world.tenant, (0..100).map(|n| format!("d{n}"))).await, 20);
    assert_eq!(world.tenant.registry.individuals_held().await.unwrap(), 20);
}

/// Begins far below the limit, where creations do not wait for each other, and crosses into where they do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_where_creations_stop_being_free_of_each_other() {
    const MOST: usize = 4_200;
    let mut world = limited(individuals(MOST as u32)).await;
    let mut made = 0;
    for batch in 0..9 {
        made += make(&world.tenant, (0..500).map(|n| format!("d{batch}-{n}"))).await;
    }
    assert_eq!(made, MOST);
    assert_eq!(world.tenant.registry.individuals_held().await.unwrap(), MOST as i64);
    // With a higher limit creations are free again, and the new limit holds as well.
    limit(&mut world.tenant, individuals(MOST as u32 + 10_000));
    assert_eq!(make(&world.tenant, (0..50).map(|n| format!("free{n}"))).await, 50);
    limit(&mut world.tenant, individuals(MOST as u32 + 60));
    assert_eq!(make(&world.tenant, (0..50).map(|n| format!("last{n}"))).await, 10);
}

#[tokio::test]
async fn x509_groups_have_a_limit_that_symmetric_ones_do_not_count_for() {
    let world = limited(ServiceLimits { x509_groups: Some(1), ..ServiceLimits::NONE }).await;
    world.put(Kind::Group, "s", group("s")).await.unwrap();
    world.put(Kind::Group, "a", x509_group("a", &ca("a"), None)).await.unwrap();
    assert_eq!(code(world.put(Kind::Group, "b", x509_group("b", &ca("b"), None)).await), Some(ErrorCode::QuotaExceeded));
    assert_eq!(
        code(world.put(Kind::Group, "s", x509_group("s", &ca("s"), None)).await),
        Some(ErrorCode::QuotaExceeded),
        "by changing its kind"
    );
    world.put(Kind::Group, "a", group("a")).await.unwrap();
    assert_eq!(world.tenant.registry.x509_groups_held().await.unwrap(), 0);
    assert!(world.put(Kind::Group, "s", x509_group("s", &ca("s"), None)).await.is_ok());
    assert_eq!(world.tenant.registry.x509_groups_held().await.unwrap(), 1);
}

#[tokio::test]
async fn one_service_being_full_is_nothing_to_another() {
    let world = limited(individuals(1)).await;
    let mut other = world.directory.create(world::service("other", "0ne0000BBBB")).await.unwrap();
    limit(&mut other, individuals(1));
    assert_eq!(make(&world.tenant, ["a".into(), "b".into()].into_iter()).await, 1);
    assert_eq!(make(&other, ["a".into(), "b".into()].into_iter()).await, 1);
}

#[tokio::test]
async fn registrations_are_counted_from_the_first_to_the_deletion() {
    let world = limited(ServiceLimits { registrations_held: Some(1), ..ServiceLimits::NONE }).await;
    let first = world::assigning("a", usher_domain::enrollment::EnrollmentRef::Individual);
    world.tenant.save_first_registration(&first, Vec::new()).await.unwrap();
    let again = world.tenant.save_first_registration(&first, Vec::new()).await.map_err(|error| error.code);
    assert_eq!(again, Err(ErrorCode::QuotaExceeded));
    let second = world::assigning("b", usher_domain::enrollment::EnrollmentRef::Individual);
    let full = world.tenant.save_first_registration(&second, Vec::new()).await.unwrap_err();
    assert!(full.code == ErrorCode::QuotaExceeded && full.message.contains("1 registrations"), "{}", full.message);
    world.tenant.registry.delete_registration("a", IfMatch::Unsaid, now()).await.unwrap();
    world.tenant.save_first_registration(&second, Vec::new()).await.unwrap();
    assert_eq!(world.tenant.registry.registrations_held().await.unwrap(), 1);
}
