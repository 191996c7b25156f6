//! Each documented call on enrollments and groups, once right and once wrong.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use world::{World, group, individual, world};

/// Collection, a document of an ID, the ID's member, the bulk member, the item type.
type KindCase = (&'static str, fn(&str) -> Value, &'static str, &'static str, &'static str);

const KINDS: [KindCase; 2] = [
    ("/enrollments", individual, "registrationId", "enrollments", "Enrollment"),
    ("/enrollmentGroups", group, "enrollmentGroupId", "enrollmentGroups", "EnrollmentGroup"),
];

async fn put(world: &World, collection: &str, body: fn(&str) -> Value, id: &str) -> Value {
    world.call("PUT", &format!("{collection}/{id}")).json(&body(id)).send().await.expect(200).json
}

#[tokio::test]
async fn put_answers_200_for_new_and_old_and_tells_the_etag_twice() {
    let world = world().await;
    for (collection, body, id_member, ..) in KINDS {
        for _ in 0..2 {
            let answer = world.call("PUT", &format!("{collection}/D%3A1")).json(&body("D:1")).send().await.expect(200);
            assert_eq!(answer.json[id_member], "D:1");
            assert_eq!(answer.header("etag"), answer.json["etag"].as_str());
        }
        world.call("PUT", &format!("{collection}/x")).json(&body("y")).send().await.expect(400);
    }
}

#[tokio::test]
async fn get_finds_a_record_in_any_case_and_without_its_keys() {
    let world = world().await;
    for (collection, body, id_member, ..) in KINDS {
        put(&world, collection, body, "Device").await;
        let answer = world.call("GET", &format!("{}/DEVICE/", collection.to_uppercase())).send().await.expect(200);
        assert_eq!(answer.json[id_member], "Device");
        assert_eq!(answer.json["attestation"], json!({"type": "symmetricKey"}));
        assert_eq!(answer.header("etag"), answer.json["etag"].as_str());
        world.call("GET", &format!("{collection}/nobody")).send().await.expect(404);
        world.call("GET", &format!("{collection}/a%20b")).send().await.expect(400);
        world.call("GET", &format!("{collection}/a%2Fb")).send().await.expect(400);
    }
}

#[tokio::test]
async fn delete_answers_204_with_nothing_in_it() {
    let world = world().await;
    for (collection, body, ..) in KINDS {
        put(&world, collection, body, "d").await;
        let answer = world.call("DELETE", &format!("{collection}/d")).header("Content-Type", "application/json").send().await.expect(204);
        assert!(answer.body().is_empty() && answer.header("content-type").is_none());
        world.call("DELETE", &format!("{collection}/d")).send().await.expect(404);
    }
}

#[tokio::test]
async fn if_match_is_judged_in_every_spelling() {
    let world = world().await;
    for (collection, body, ..) in KINDS {
        let path = format!("{collection}/d");
        let mut etag = put(&world, collection, body, "d").await["etag"].as_str().unwrap().to_owned();
        let spellings: [fn(&str) -> String; 4] =
            [str::to_owned, |etag| etag.replace('"', ""), |etag| format!("W/{etag}"), |_| "*".to_owned()];
        for spelling in spellings {
            let answer = world.call("PUT", &path).header("If-Match", &spelling(&etag)).json(&body("d")).send().await.expect(200);
            etag = answer.json["etag"].as_str().unwrap().to_owned();
        }
        for stale in ["\"0000000000000001\"", "\"13003fea-0000-0300-0000-62d1d5e50000\"", "nonsense"] {
            let answer = world.call("PUT", &path).header("If-Match", stale).json(&body("d")).send().await.expect(412);
            assert_eq!(answer.header("x-ms-error-code"), Some("PreconditionFailed"));
            world.call("DELETE", &path).header("If-Match", stale).send().await.expect(412);
        }
        world.call("PUT", &format!("{collection}/new")).header("If-Match", "*").json(&body("new")).send().await.expect(412);
        world.call("DELETE", &path).header("If-Match", &etag).send().await.expect(204);
        world.call("DELETE", &path).header("If-Match", "*").send().await.expect(404);
    }
}

#[tokio::test]
async fn a_record_that_was_read_can_be_sent_back_whole() {
    let world = world().await;
    put(&world, "/enrollments", individual, "d").await;
    world.registered("d", "g").await;
    let read = world.call("GET", "/enrollments/d").send().await.expect(200).json;
    assert_eq!(read["registrationState"]["status"], "assigned");
    let etag = read["etag"].as_str().unwrap().to_owned();
    let again = world.call("PUT", "/enrollments/d").header("If-Match", &etag).json(&read).send().await.expect(200).json;
    assert_eq!(again["createdDateTimeUtc"], read["createdDateTimeUtc"]);
    assert_eq!(again["registrationState"], read["registrationState"]);
}

#[tokio::test]
async fn the_attestation_mechanism_tells_keys_and_needs_no_body() {
    let world = world().await;
    for (collection, body, ..) in KINDS {
        let made = put(&world, collection, body, "d").await;
        let path = format!("{}/d/attestationMechanism", collection.to_lowercase());
        let answer = world.call("POST", &path).send().await.expect(200);
        assert_eq!(answer.json["type"], "symmetricKey");
        assert_eq!(answer.json["symmetricKey"], made["attestation"]["symmetricKey"]);
        world.call("POST", &format!("{collection}/nobody/attestationmechanism")).send().await.expect(404);
    }
}

#[tokio::test]
async fn a_query_pages_and_its_last_page_names_no_other() {
    let world = world().await;
    for (collection, body, id_member, _, item_type) in KINDS {
        for n in 0..5 {
            put(&world, collection, body, &format!("d{n}")).await;
        }
        let (mut ids, mut token, mut sizes) = (Vec::new(), None::<String>, vec!["2", "2", "1000"]);
        while !sizes.is_empty() {
            let mut call =
                world.call("POST", &format!("{collection}/query")).json(&json!({"query": "SELECT * FROM ".to_owned() + &collection[1..]}));
            call = call.header("x-ms-max-item-count", sizes.remove(0));
            if let Some(token) = &token {
                call = call.header("x-ms-continuation", token);
            }
            let answer = call.send().await.expect(200);
            assert_eq!(answer.header("x-ms-item-type"), Some(item_type));
            assert!(answer.header("x-ms-max-item-count").is_some());
            ids.extend(answer.json.as_array().unwrap().iter().map(|item| item[id_member].as_str().unwrap().to_owned()));
            token = answer.header("x-ms-continuation").map(str::to_owned);
            assert_eq!(token.is_none(), sizes.is_empty());
        }
        ids.sort();
        assert_eq!(ids, ["d0", "d1", "d2", "d3", "d4"]);
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused() {
    let world = world().await;
    let query = |text: &str| world.call("POST", "/enrollments/query").json(&json!({"query": text}));
    query("SELECT *").send().await.expect(200);
    query("SELECT * WHERE provisioningStatus = 'enabled'").send().await.expect(200);
    query("DROP TABLE").send().await.expect(400);
    query("SELECT *").header("x-ms-max-item-count", "many").send().await.expect(400);
    query("SELECT *").header("x-ms-max-item-count", "-1").send().await.expect(200);
    query("SELECT *").header("x-ms-max-item-count", "999999999").send().await.expect(200);
    query("SELECT *").header("x-ms-continuation", "made-up").send().await.expect(400);
    world.call("POST", "/enrollments/query").json(&json!({"query": 5})).send().await.expect(400);
    world.call("POST", "/enrollments/query").send().await.expect(200);
}

#[tokio::test]
async fn a_bulk_call_answers_200_and_says_which_items_failed() {
    let world = world().await;
    for (collection, body, id_member, member, _) in KINDS {
        let bulk = |mode: &str, items: Vec<Value>| {
            let mut request = json!({"mode": mode});
            request[member] = Value::from(items);
            world.call("POST", &format!("{collection}/")).json(&request)
        };
        let made = bulk("create", vec![body("a"), body("b")]).send().await.expect(200).json;
        assert_eq!(made, json!({"isSuccessful": true, "errors": []}));
        let mixed = bulk("create", vec![body("b"), body("c")]).send().await.expect(200).json;
        assert_eq!(mixed["isSuccessful"], false);
        assert_eq!(mixed["errors"].as_array().unwrap().len(), 1);
        assert_eq!((&mixed["errors"][0][id_member], &mixed["errors"][0]["errorCode"]), (&json!("b"), &json!(409_201)));
        assert!(mixed["errors"][0]["errorStatus"].is_string());
        bulk("update", (0..11).map(|n| body(&format!("d{n}"))).collect()).send().await.expect(400);
        bulk("upsert", vec![body("a")]).send().await.expect(400);
        let gone = bulk("delete", ["a", "b", "c"].map(body).to_vec()).send().await.expect(200).json;
        assert_eq!(gone["isSuccessful"], true);
        world.call("GET", &format!("{collection}/a")).send().await.expect(404);
    }
}

#[tokio::test]
async fn query_is_a_legal_id() {
    let world = world().await;
    put(&world, "/enrollments", individual, "query").await;
    world.call("GET", "/enrollments/query").send().await.expect(200);
    world.call("DELETE", "/enrollments/query").send().await.expect(204);
}
