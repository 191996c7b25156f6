//! Two nodes over one store, step by step: what each read stands still until it commits.
#![allow(clippy::unwrap_used)]

use usher_domain::{IdScope, enrollment::AllocationPolicy, service::ProvisioningService, service_limits::ServiceLimits};
use usher_seal::MasterKey;
use usher_store::memory::MemoryStore;

use super::*;
use crate::Directory;

/// The same service on two nodes.
async fn nodes(most: i64) -> [Tenant; 2] {
    let (store, master) = (MemoryStore::default(), MasterKey::generate().unwrap());
    let node = || async { Directory::open(Arc::new(store.clone()), master.clone()).await.unwrap() };
    let (first, second) = (node().await, node().await);
    let limits = ServiceLimits { individual_enrollments: Some(u32::try_from(most).unwrap()), ..ServiceLimits::NONE };
    let service = ProvisioningService {
        name: "plant".into(),
        tenant: 0,
        id_scope: IdScope::parse("0ne0000AAAA").unwrap(),
        host_name: "plant.example".into(),
        policies: Vec::new(),
        hubs: Vec::new(),
        allocation: AllocationPolicy::Hashed,
        resource: usher_domain::service::ResourceMetadata::default(),
        limits,
    };
    let tenant = first.create(service).await.unwrap();
    [tenant, second.by_name("plant").await.unwrap().unwrap()]
}

async fn one_more(node: &Tenant) -> Result<Holding, ErrorCode> {
    node.one_more(Held::Individuals).await.map_err(|error| error.code)
}

async fn commit(node: &Tenant, holding: Holding) -> bool {
    match node.registry.commit(holding.ops).await {
        Ok(()) => true,
        Err(RecordError::Conflict { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn held(node: &Tenant) -> i64 {
    node.registry.individuals_held().await.unwrap()
}

#[tokio::test]
async fn two_nodes_that_see_the_last_place_free_get_one() {
    let [a, b] = nodes(1).await;
    let (from_a, from_b) = (one_more(&a).await.unwrap(), one_more(&b).await.unwrap());
    assert!(commit(&a, from_a).await);
    assert!(!commit(&b, from_b).await, "it read what is no longer so");
    assert_eq!(one_more(&b).await.err(), Some(ErrorCode::QuotaExceeded));
    assert_eq!(held(&b).await, 1);
}

#[tokio::test]
async fn far_below_the_limit_nobody_waits_and_the_margin_takes_them_all() {
    let [a, b] = nodes(MARGIN + 1).await;
    let mut under_way = Vec::new();
    for node in [&a, &b] {
        for _ in 0..FAR_AT_ONCE {
            under_way.push((node, one_more(node).await.unwrap()));
        }
    }
    for (node, holding) in under_way {
        assert!(commit(node, holding).await);
    }
    assert_eq!(held(&a).await, 2 * FAR_AT_ONCE as i64);
}

#[tokio::test]
async fn a_node_holds_no_more_places_than_the_margin_is_reckoned_for() {
    let [a, _] = nodes(MARGIN + 1).await;
    let mut under_way = Vec::new();
    for _ in 0..FAR_AT_ONCE {
        under_way.push(one_more(&a).await.unwrap());
    }
    let next = tokio::time::timeout(std::time::Duration::from_millis(50), one_more(&a)).await;
    assert!(next.is_err(), "it waits");
    under_way.pop();
    assert!(one_more(&a).await.is_ok());
}

#[tokio::test]
async fn near_the_limit_whoever_read_before_the_guard_reads_again() {
    let [a, b] = nodes(MARGIN + 2).await;
    assert!(commit(&a, one_more(&a).await.unwrap()).await);
    let (early, late) = (one_more(&a).await.unwrap(), one_more(&a).await.unwrap());
    assert!(commit(&a, early).await);
    let near = one_more(&b).await.unwrap();
    assert!(!commit(&a, late).await, "the guard stands");
    assert!(commit(&b, near).await);
    assert_eq!(held(&a).await, 3);
}

#[tokio::test]
async fn the_guard_goes_when_there_is_room_again() {
    let [a, _] = nodes(1).await;
    assert!(commit(&a, one_more(&a).await.unwrap()).await);
    let mut roomy = a.clone();
    let service = (*a.service).clone();
    let limits = ServiceLimits { individual_enrollments: Some(1_000_000), ..service.limits };
    roomy.service = Arc::new(ProvisioningService { limits, ..service });
    assert!(commit(&roomy, one_more(&roomy).await.unwrap()).await);
    assert!(roomy.registry.guard(Held::Individuals).await.unwrap().is_none());
    assert!(matches!(one_more(&roomy).await.unwrap()._place, Some(Place::Far(_))));
}
