//! Resource groups, resource providers and private endpoints through the management API.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use usher_api_management::SUBSCRIPTION;
use world::{id, world};

fn group(name: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}")
}

#[tokio::test]
async fn a_group_is_there_once_it_is_made_or_has_a_service() {
    let world = world().await;
    let absent = world.get(&group("works")).await;
    assert_eq!((absent.status, &absent.json["error"]["code"]), (404, &json!("ResourceGroupNotFound")));
    assert_eq!(world.send("HEAD", &group("works"), &[], Value::Null).await.status, 404);
    assert_eq!(world.get(&format!("{}/resources", group("works"))).await.status, 404);
    let made = world.put(&group("works"), json!({"location": "westus", "tags": {"a": "1"}})).await;
    assert_eq!(
        (made.status, &made.json["tags"], &made.json["properties"]["provisioningState"]),
        (201, &json!({"a": "1"}), &json!("Succeeded"))
    );
    assert_eq!(world.put(&group("WORKS"), json!({"location": "West US"})).await.status, 200);
    assert_eq!(world.get(&group("works")).await.json["tags"], json!({"a": "1"}), "tags left out stay");
    assert_eq!(world.put(&group("works"), json!({"location": "elsewhere"})).await.status, 409);
    assert_eq!(world.send("HEAD", &group("works"), &[], Value::Null).await.status, 204);
    world.put(&id("plant"), json!({"location": "westus"})).await;
    world.put("/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/implied/providers/Microsoft.Devices/provisioningServices/other",
        json!({"location": "local"})).await;
    assert_eq!(world.get(&group("Implied")).await.json["location"], "local");
    let all = world.get(&format!("/subscriptions/{SUBSCRIPTION}/resourceGroups")).await.json;
    assert_eq!(all["value"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), ["implied", "works"]);
    let inside = world.get(&format!("{}/resources", group("works"))).await.json;
    assert_eq!(inside["value"][0]["id"], id("plant"));
}

#[tokio::test]
async fn a_group_with_a_service_is_not_deleted() {
    let world = world().await;
    world.put(&group("works"), json!({"location": "westus"})).await;
    world.plant().await;
    let refused = world.send("DELETE", &group("works"), &[], Value::Null).await;
    assert_eq!((refused.status, &refused.json["code"]), (409, &json!("ResourceGroupNotEmpty")));
    assert!(refused.json["message"].as_str().unwrap().contains("plant"));
    world.send("DELETE", &id("plant"), &[], Value::Null).await;
    assert_eq!(world.send("DELETE", &group("works"), &[], Value::Null).await.status, 200);
    assert_eq!(world.send("DELETE", &group("works"), &[], Value::Null).await.status, 404);
}

#[tokio::test]
async fn groups_are_patched_only_where_they_are_and_need_a_location_where_they_are_not() {
    let world = world().await;
    assert_eq!(world.send("PATCH", &group("works"), &[], json!({"tags": {}, "location": "x"})).await.status, 404);
    assert_eq!(world.put(&group("works"), json!({})).await.json["code"], "LocationRequired");
    assert_eq!(world.put(&group("works"), json!([])).await.status, 400);
    world.put(&group("works"), json!({"location": "x"})).await;
    world
        .put(
            &group("implied").replace("/implied", "/implied/providers/Microsoft.Devices/provisioningServices/other"),
            json!({"location": "local"}),
        )
        .await;
    assert_eq!(world.send("PATCH", &group("implied"), &[], json!({"tags": {"n": "1"}})).await.status, 200);
    let patched = world.send("PATCH", &group("works"), &[], json!({"tags": {"n": "2"}})).await;
    assert_eq!((patched.status, &patched.json["tags"]), (200, &json!({"n": "2"})));
}

#[tokio::test]
async fn the_provider_that_is_served_is_registered_and_no_other_is_there() {
    let world = world().await;
    let providers = format!("/subscriptions/{SUBSCRIPTION}/providers");
    assert_eq!(world.get(&providers).await.json["value"][0]["registrationState"], "Registered");
    let one = world.post(&format!("{providers}/microsoft.devices/register")).await;
    assert_eq!((one.status, &one.json["namespace"]), (200, &json!("Microsoft.Devices")));
    assert_eq!(world.get(&format!("{providers}/Microsoft.Storage")).await.json["code"], "InvalidResourceNamespace");
}

#[tokio::test]
async fn there_are_no_private_endpoints_and_none_can_be_made() {
    let world = world().await;
    world.plant().await;
    let (links, connections) = (format!("{}/privateLinkResources", id("plant")), format!("{}/privateEndpointConnections", id("plant")));
    assert_eq!(world.get(&links).await.json, json!({"value": []}));
    assert_eq!(world.get(&connections).await.json, json!([]));
    assert_eq!(world.get(&format!("{links}/iotDps")).await.status, 404);
    let one = format!("{connections}/mine");
    for (method, status, code) in
        [("GET", 404, "ResourceNotFound"), ("DELETE", 404, "ResourceNotFound"), ("PUT", 400, "PrivateEndpointsNotSupported")]
    {
        let refused = world.send(method, &one, &[], json!({})).await;
        assert_eq!((refused.status, &refused.json["code"]), (status, &json!(code)), "{method}");
    }
    assert_eq!(world.get(&format!("{}/privateLinkResources", id("nobody"))).await.status, 404);
}
