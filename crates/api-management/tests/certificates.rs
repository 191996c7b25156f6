//! CA certificates through the management API, as SDKs of both ages send them.
#![allow(clippy::unwrap_used)]

#[path = "../../attestation/tests/pki/mod.rs"]
mod pki;
mod world;

use pki::Ca;
use serde_json::{Value, json};
use world::{World, id, world};

fn path(rest: &str) -> String {
    format!("{}/certificates/{rest}", id("plant"))
}

fn base64_of(der: &[u8]) -> String {
    usher_attestation::Certificate::from_der(der).unwrap().stored().der
}

async fn send(world: &World, method: &str, rest: &str, etag: Option<&Value>, body: Value) -> world::Reply {
    let etag = etag.map(|etag| etag.as_str().unwrap_or("*").to_owned());
    let headers: Vec<(&str, &str)> = etag.iter().map(|etag| ("if-match", etag.as_str())).collect();
    world.send(method, &path(rest), &headers, body).await
}

#[tokio::test]
async fn a_certificate_is_uploaded_verified_and_deleted() {
    let (world, ca) = (world().await, Ca::root("root"));
    world.plant().await;
    let flat = json!({"certificate": base64_of(&ca.der)});
    let made = send(&world, "PUT", "root-1", None, flat).await;
    assert_eq!(made.status, 200, "the SDK takes no 201");
    let properties = &made.json["properties"];
    assert_eq!((properties["subject"].as_str(), properties["isVerified"].as_bool()), (Some("CN=root"), Some(false)));
    assert_eq!(properties["expiry"], "Sun, 01 Jan 2040 00:00:00 GMT");
    assert_eq!(properties["created"], "Mon, 01 Jun 2026 00:00:00 GMT");
    assert_eq!(properties["thumbprint"].as_str().unwrap().len(), 40);
    let coded = send(&world, "POST", "root-1/generateVerificationCode", Some(&made.json["etag"]), Value::Null).await.json;
    let code = coded["properties"]["verificationCode"].as_str().unwrap();
    assert!(send(&world, "GET", "root-1", None, Value::Null).await.json["properties"]["verificationCode"].is_null());
    let proof = json!({"certificate": base64_of(&ca.leaf(code))});
    assert_eq!(send(&world, "POST", "root-1/verify", Some(&made.json["etag"]), proof.clone()).await.status, 412);
    let wrong = json!({"certificate": base64_of(&ca.leaf("wrong"))});
    let refused = send(&world, "POST", "root-1/verify", Some(&coded["etag"]), wrong).await;
    assert!(refused.status == 400 && refused.json["error"]["message"].as_str().unwrap().contains("verification code"));
    let verified = send(&world, "POST", "root-1/verify", Some(&coded["etag"]), proof).await;
    assert_eq!((verified.status, verified.json["properties"]["isVerified"].as_bool()), (200, Some(true)));
    assert_eq!(send(&world, "DELETE", "root-1", Some(&coded["etag"]), Value::Null).await.status, 412);
    assert_eq!(send(&world, "DELETE", "root-1", None, Value::Null).await.status, 400);
    assert_eq!(send(&world, "DELETE", "root-1", Some(&verified.json["etag"]), Value::Null).await.status, 200);
    assert_eq!(send(&world, "DELETE", "root-1", Some(&verified.json["etag"]), Value::Null).await.status, 204);
    assert_eq!(send(&world, "GET", "root-1", None, Value::Null).await.status, 404);
}

#[tokio::test]
async fn newer_bodies_and_vouching_are_understood_and_nonsense_is_refused() {
    let (world, ca) = (world().await, Ca::root("root"));
    world.plant().await;
    let nested = json!({"properties": {"certificate": base64_of(&ca.der), "isVerified": true}});
    let made = send(&world, "PUT", "root-1", None, nested.clone()).await;
    assert!(made.json["properties"]["isVerified"].as_bool().unwrap());
    let again = send(&world, "PUT", "root-1", Some(&made.json["etag"]), nested.clone()).await;
    assert_eq!(again.status, 200);
    assert_eq!(send(&world, "PUT", "root-1", Some(&made.json["etag"]), nested).await.status, 412);
    let listed = world.get(path("").trim_end_matches('/')).await.json;
    assert_eq!(listed["value"].as_array().unwrap().len(), 1);
    assert_eq!(listed["value"][0]["etag"], again.json["etag"]);
    for body in [json!({}), json!([]), json!({"certificate": "bm90IGEgY2VydGlmaWNhdGU="}), json!({"certificate": 1}), Value::Null] {
        assert_eq!(send(&world, "PUT", "root-2", None, body).await.status, 400);
    }
    assert_eq!(world.post(&path("nobody/generateVerificationCode")).await.status, 400);
    assert_eq!(send(&world, "POST", "nobody/generateVerificationCode", Some(&json!("*")), Value::Null).await.status, 404);
}
