//! Every door of the service API is locked: it opens to a token of the right service with the right right, and to nothing else.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use usher_api_service::{Door, doors};
use usher_domain::service::Right;
use world::{Answer, Call, HOST, OTHER_HOST, OWNER, World, group, individual, owner_token, token, token_of, world};

/// A well-formed request for a door, so that nothing but the token can fail.
fn knock<'a>(world: &'a World, door: &Door) -> Call<'a> {
    let call = world.call(door.method, &door.path.replace("{id}", "d"));
    match (door.method, door.path) {
        ("PUT", "/enrollments/{id}") => call.json(&individual("d")),
        ("PUT", "/enrollmentGroups/{id}") => call.json(&group("d")),
        ("POST", "/enrollments") => call.json(&json!({"mode": "create", "enrollments": [individual("e")]})),
        ("POST", "/enrollmentGroups") => call.json(&json!({"mode": "create", "enrollmentGroups": [group("e")]})),
        ("POST", path) if path.ends_with("query") => call.json(&json!({"query": "SELECT *"})),
        _ => call,
    }
}

/// A world in which every door has something behind it.
async fn furnished() -> World {
    let world = world().await;
    world.call("PUT", "/enrollments/d").json(&individual("d")).send().await.expect(200);
    world.call("PUT", "/enrollmentGroups/d").json(&group("d")).send().await.expect(200);
    world.registered("d", "d").await;
    world
}

#[track_caller]
fn assert_locked(door: &Door, why: &str, answer: &Answer) {
    let place = format!("{} {} with {why}", door.method, door.path);
    assert_eq!(answer.status, 401, "{place}");
    assert_eq!(answer.json["errorCode"].as_u64().unwrap() / 1000, 401, "{place}");
}

/// Whether a policy with this right alone opens the door: writing implies reading.
fn opens(held: Right, door: &Door) -> bool {
    held == door.right
        || matches!(
            (held, door.right),
            (Right::EnrollmentWrite, Right::EnrollmentRead) | (Right::RegistrationStatusWrite, Right::RegistrationStatusRead)
        )
}

#[tokio::test]
async fn no_door_opens_without_a_valid_token() {
    let world = furnished().await;
    let before = world.store.commits();
    let now_expired = token(HOST, OWNER, 1, -3600);
    let wrong = [
        ("a wrong key", token(HOST, OWNER, 99, 3600)),
        ("an expired token", now_expired),
        ("an unknown policy", token(HOST, "nobody", 1, 3600)),
        ("another policy's key", token(HOST, OWNER, 3, 3600)),
        ("no policy", token(HOST, "", 1, 3600)),
        ("another host", token("elsewhere.example", OWNER, 1, 3600)),
        ("a host that begins alike", token("plant.example.org", OWNER, 1, 3600)),
        ("another path", token("plant.example/elsewhere", OWNER, 1, 3600)),
        ("a bearer token", "Bearer eyJhbGciOi".to_owned()),
        ("nonsense", "SharedAccessSignature".to_owned()),
    ];
    for door in doors() {
        assert_locked(door, "no token", &knock(&world, door).no_token().send().await);
        for (why, token) in &wrong {
            assert_locked(door, why, &knock(&world, door).token(token.as_str()).send().await);
        }
    }
    assert_eq!(world.store.commits(), before, "nothing was changed or counted");
}

#[tokio::test]
async fn no_door_opens_to_another_service_s_token() {
    let world = furnished().await;
    let before = world.store.commits();
    let theirs = token(OTHER_HOST, OWNER, 101, 3600);
    let theirs_for_ours = token(HOST, OWNER, 101, 3600);
    for door in doors() {
        assert_locked(door, "their token on our host", &knock(&world, door).token(theirs.as_str()).send().await);
        assert_locked(door, "their key for our host", &knock(&world, door).token(theirs_for_ours.as_str()).send().await);
        assert_locked(door, "our token on their host", &knock(&world, door).host(OTHER_HOST).send().await);
        let by_address = knock(&world, door).host("127.0.0.1").token(theirs_for_ours.as_str());
        assert_locked(door, "their key for our host, by address", &by_address.send().await);
    }
    assert_eq!(world.store.commits(), before);
}

#[tokio::test]
async fn each_door_opens_to_its_own_right_alone() {
    for door in doors() {
        for right in Right::ALL {
            let world = furnished().await;
            let answer = knock(&world, door).token(token_of(right)).send().await;
            let place = format!("{} {} with {right:?}: {}", door.method, door.path, answer.json);
            if opens(right, door) {
                assert!(answer.status.is_success(), "{place}");
            } else {
                assert_locked(door, &format!("{right:?}"), &answer);
                assert!(answer.json["message"].as_str().unwrap().contains(&format!("{:?}", door.right)), "{place}");
            }
        }
    }
}

#[test]
fn the_rights_are_those_of_the_documentation() {
    for door in doors() {
        let reads = door.method == "GET" || door.path.ends_with("query");
        let right = match (door.path.starts_with("/registrations"), reads) {
            (true, true) => Right::RegistrationStatusRead,
            (true, false) => Right::RegistrationStatusWrite,
            (false, true) => Right::EnrollmentRead,
            // Keys are told to those alone who could also change them.
            (false, false) => Right::EnrollmentWrite,
        };
        assert_eq!(door.right, right, "{} {}", door.method, door.path);
    }
    assert_eq!(doors().len(), 15, "the operations of the specification");
}

#[tokio::test]
async fn keys_are_not_told_to_those_who_may_only_read() {
    let world = furnished().await;
    for path in ["/enrollments/d", "/enrollmentGroups/d"] {
        let read = world.call("GET", path).token(token_of(Right::EnrollmentRead)).send().await.expect(200);
        assert_eq!(read.json["attestation"], json!({"type": "symmetricKey"}));
        let keys = world.call("POST", &format!("{path}/attestationmechanism"));
        keys.token(token_of(Right::EnrollmentRead)).send().await.expect(401);
    }
}

#[tokio::test]
async fn a_token_opens_the_path_it_names_and_those_below() {
    let world = furnished().await;
    let narrow = token("plant.example/enrollments/d", OWNER, 1, 3600);
    world.call("GET", "/enrollments/d").token(narrow.as_str()).send().await.expect(200);
    world.call("GET", "/ENROLLMENTS/D/").token(narrow.as_str()).send().await.expect(200);
    world.call("POST", "/enrollments/d/attestationmechanism").token(narrow.as_str()).send().await.expect(200);
    for path in ["/enrollmentGroups/d", "/enrollments/d2", "/registrations/d"] {
        world.call("GET", path).token(narrow.as_str()).send().await.expect(401);
    }
}

#[tokio::test]
async fn hosts_and_resources_are_taken_as_tools_write_them() {
    let world = furnished().await;
    let get = || world.call("GET", "/enrollments/d");
    for resource in ["plant.example", "https://plant.example", "https://plant.example/", "PLANT.example", "plant.example:8443"] {
        get().token(token(resource, OWNER, 1, 3600)).send().await.expect(200);
    }
    get().token(token(HOST, OWNER, 2, 3600)).send().await.expect(200);
    get().host("plant.example:8443").send().await.expect(200);
    get().host("Plant.Example").send().await.expect(200);
    // The client reached us by address or through a proxy: the token says which service it means.
    get().host("127.0.0.1:8443").send().await.expect(200);
    get().host("127.0.0.1").token(token("elsewhere.example", OWNER, 1, 3600)).send().await.expect(401);
    // Lower-case escapes and another order of fields (.NET and Python write them so).
    let fields = owner_token();
    let (_, fields) = fields.split_once(' ').unwrap();
    let mut fields: Vec<&str> = fields.split('&').collect();
    fields.reverse();
    get().token(format!("SharedAccessSignature {}", fields.join("&"))).send().await.expect(200);
}

#[tokio::test]
async fn a_locked_door_tells_a_stranger_nothing() {
    let world = furnished().await;
    let there = world.call("GET", "/enrollments/d").token(token(HOST, OWNER, 99, 3600)).send().await.expect(401);
    let not_there = world.call("GET", "/enrollments/nobody").token(token(HOST, OWNER, 99, 3600)).send().await.expect(401);
    let expired = world.call("GET", "/enrollments/d").token(token(HOST, OWNER, 99, -3600)).send().await.expect(401);
    for answer in [there, not_there, expired] {
        assert_eq!(answer.json["message"], Value::from("Unauthorized"));
    }
}
