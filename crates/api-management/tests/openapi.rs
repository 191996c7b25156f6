//! `docs/openapi-management.json`, the table of doors and the API say the same.
#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use usher_api_management::{OPENAPI, SUBSCRIPTION, doors};
use world::{World, world};

/// Methods that are tried on each path.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"];

#[test]
fn every_door_is_described_and_nothing_else_is() {
    let document: Value = serde_json::from_str(OPENAPI).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "parameters");
        described.extend(methods.map(|method| (method.to_ascii_uppercase(), path.clone())));
    }
    assert_eq!(described, doors().iter().map(|door| (door.method.to_owned(), door.path.to_owned())).collect());
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let world = world().await;
    world.plant().await;
    for path in doors().iter().map(|door| door.path).collect::<BTreeSet<_>>() {
        let request = Request::builder().method("TRACE").uri(format!("{}?api-version=1", filled(path)));
        let refused =
            world.api.handle(request.header("authorization", format!("Bearer {}", world::TOKEN)).body(Bytes::new()).unwrap()).await;
        let allowed: BTreeSet<_> = refused.headers()["allow"].to_str().unwrap().split(", ").collect();
        assert_eq!(allowed, doors().iter().filter(|door| door.path == path).map(|door| door.method).collect(), "{path}");
    }
}

#[tokio::test]
async fn every_door_is_locked_and_no_other_method_passes() {
    let world = world().await;
    world.plant().await;
    for path in doors().iter().map(|door| door.path).collect::<BTreeSet<_>>() {
        for method in METHODS {
            let locked = world.api.handle(Request::builder().method(method).uri(filled(path)).body(Bytes::new()).unwrap()).await;
            assert_eq!(locked.status(), 401, "{method} {path}");
            let is_door = doors().iter().any(|door| door.path == path && door.method == method);
            let passes = !is_refused_as_no_door(&world, method, path).await;
            assert_eq!(passes, is_door, "{method} {path}");
        }
    }
}

/// Whether the API knows no such method or path, whatever else it might have against the request. The service itself is not deleted: others are asked for.
async fn is_refused_as_no_door(world: &World, method: &str, path: &str) -> bool {
    let path = filled(path);
    let path = if method == "DELETE" && path.ends_with("plant") { path.replace("plant", "absent") } else { path };
    let reply = world.send(method, &path, &[("if-match", "*")], json!({})).await;
    let message = reply.json["error"]["message"].as_str().unwrap_or_default().to_owned();
    reply.status == 405 || message.contains("no such path")
}

fn filled(path: &str) -> String {
    let values = [
        ("{subscription}", SUBSCRIPTION),
        ("{namespace}", "Microsoft.Devices"),
        ("{group}", "works"),
        ("{name}", "plant"),
        ("{key}", "provisioningserviceowner"),
    ];
    let named = values.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    named.split('/').map(|segment| if segment.starts_with('{') { "one" } else { segment }).collect::<Vec<_>>().join("/")
}
