//! Attempts are kept as they went, and no registration waits for it.

#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use serde_json::json;
use usher_domain::{
    RegistrationId,
    attempt::{Attempt, AttemptResult},
};
use usher_hub::{HubError, fake::Fault};
use usher_provisioning::Journal;
use world::{KEY, World};

async fn world() -> (World, Journal) {
    let (mut world, journal) = (World::new(11).await, Journal::start());
    world.engine = world.engine.clone().with_journal(journal.clone());
    (world, journal)
}

async fn attempts(world: &World, journal: &Journal, id: &str) -> Vec<Attempt> {
    journal.flush(Duration::from_secs(5)).await;
    world.tenant().await.registry.attempts(&RegistrationId::parse(id).unwrap()).await.unwrap()
}

fn names(attempt: &Attempt) -> Vec<(&str, bool)> {
    attempt.checks.iter().map(|check| (check.name.as_str(), check.passed)).collect()
}

#[tokio::test]
async fn a_registration_is_told_from_scope_to_hub() {
    let (world, journal) = world().await;
    world.enroll_device("d", json!({ "allocationPolicy": "hashed" })).await;
    let told = world.register("d").await.unwrap();
    let all = attempts(&world, &journal, "D").await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].outcome.result, AttemptResult::Assigned);
    assert_eq!(all[0].outcome.hub.as_ref().map(ToString::to_string), told.registration_state.unwrap().assigned_hub);
    let expected = [
        "idScope",
        "enrollment",
        "token",
        "token.resource",
        "token.signature",
        "token.expiry",
        "enrollment.enabled",
        "reprovision",
        "allocation.policy",
        "allocation.lot",
        "allocation.lot",
        "allocation",
        "plan",
        "hub",
    ];
    assert_eq!(names(&all[0]), expected.map(|name| (name, true)));
}

#[tokio::test]
async fn each_try_at_a_hub_is_told_while_it_goes_on_and_at_its_end() {
    let (world, journal) = world().await;
    world.enroll_device("d", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    world.a.fail_next([Fault::Before(HubError::Unavailable("down".into())), Fault::Before(HubError::Rejected("no".into()))]);
    world.register("d").await.unwrap();
    let mut all = attempts(&world, &journal, "d").await;
    while all[0].outcome.result == AttemptResult::Assigning {
        assert_eq!(names(&all[0]).last(), Some(&("hub", false)), "what was tried so far is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
        all = attempts(&world, &journal, "d").await;
    }
    assert_eq!((all.len(), all[0].outcome.result), (1, AttemptResult::Failed));
    let hub: Vec<&str> = all[0].checks.iter().filter(|check| check.name == "hub").map(|check| check.detail.as_str()).collect();
    assert_eq!(hub.len(), 2);
    assert!(hub[0].starts_with("Attempt 1 at a.example failed") && hub[0].contains("down") && hub[1].contains("Attempt 2"), "{hub:?}");
    assert!(all[0].outcome.error_code.is_some() && all[0].outcome.next.is_some());
}

#[tokio::test]
async fn an_operation_taken_over_is_told_as_such() {
    let (mut world, journal) = world().await;
    world.enroll_device("d", json!({ "allocationPolicy": "static", "iotHubs": ["a.example"] })).await;
    world.a.fail_next([Fault::Before(HubError::Unavailable("down".into()))]);
    let _ = tokio::time::timeout(Duration::from_millis(50), world.register("d")).await;
    world.restart().await;
    world.engine = world.engine.clone().with_journal(journal.clone());
    world.engine.look(usher_provisioning::Abandoned::All).await.unwrap();
    for _ in 0..100 {
        let all = attempts(&world, &journal, "d").await;
        if let Some(taken) = all.iter().find(|attempt| attempt.request == "take-over") {
            assert_eq!((taken.outcome.result, names(taken)), (AttemptResult::Assigned, vec![("takeOver", true), ("hub", true)]));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no take-over was told");
}

#[tokio::test]
async fn strangers_are_kept_apart_and_a_storm_of_them_delays_nobody() {
    let (world, journal) = world().await;
    world.enroll_device("d", json!({})).await;
    world.register_as(&world.claim("made-up-0", &KEY), b"").await.unwrap_err();
    let kept = attempts(&world, &journal, "made-up-0").await;
    assert_eq!(kept[0].outcome.result, AttemptResult::Refused);
    assert_eq!(names(&kept[0]).last(), Some(&("enrollment.none", false)));
    let other = world.claim_in("0neELSEWHERE", "made-up-0", &KEY);
    world.register_as(&other, b"").await.unwrap_err();
    assert_eq!(attempts(&world, &journal, "made-up-0").await.len(), 1, "another scope's attempts are not this service's");
    let elsewhere = world.directory.system().attempts(&RegistrationId::parse("made-up-0").unwrap()).await.unwrap();
    assert_eq!(names(&elsewhere[0]), [("idScope.unknown", false)]);
    for n in 0..6_000 {
        world.register_as(&world.claim(&format!("made-up-{n}"), &KEY), b"").await.unwrap_err();
    }
    let began = std::time::Instant::now();
    world.register("d").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "a registration waited for the journal");
    assert_eq!(attempts(&world, &journal, "d").await.len(), 1, "the storm pushed out a device's own attempt");
}
