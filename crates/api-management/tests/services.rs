//! Services through the management API: made, changed as azure-cli changes them, deleted, and refused where they break a rule.
#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use world::{id, world};

#[tokio::test]
async fn a_new_service_has_names_of_its_own_and_an_owner() {
    let world = world().await;
    let made = world.plant().await;
    assert_eq!((made.status, made.json["properties"]["provisioningState"].as_str()), (201, Some("Succeeded")));
    let properties = &made.json["properties"];
    assert_eq!(properties["serviceOperationsHostName"], "plant.example");
    assert!(properties["idScope"].as_str().unwrap().starts_with("0ne"));
    assert_eq!(made.json["resourcegroup"], "works");
    assert_eq!(*world.site.hosts.lock().unwrap(), ["plant.example"]);
    let keys = world.post(&format!("{}/listkeys", id("plant"))).await.json;
    assert_eq!(keys["value"][0]["keyName"], "provisioningserviceowner");
    let second = world.put(&id("second"), json!({"location": "westus"})).await.json;
    assert_ne!(second["properties"]["idScope"], properties["idScope"]);
    assert_eq!(second["properties"]["iotHubs"], json!([]), "azure-cli appends to it");
}

#[tokio::test]
async fn what_was_read_can_be_changed_and_written_back() {
    let world = world().await;
    let made = world.plant().await.json;
    let mut body = world.get(&id("plant")).await.json;
    body["properties"]["iotHubs"][0]["allocationWeight"] = json!(5);
    body["properties"]["allocationPolicy"] = json!("GeoLatency");
    body["tags"] = json!({"site": "a"});
    let changed = world.put(&id("PLANT"), body).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.json["properties"]["iotHubs"][0]["allocationWeight"], 5);
    assert_eq!(changed.json["tags"]["site"], "a");
    assert_ne!(changed.json["etag"], made["etag"]);
    assert_eq!(changed.json["properties"]["idScope"], made["properties"]["idScope"]);
    let keys = world.post(&format!("{}/listkeys", id("plant"))).await.json;
    assert_eq!(keys["value"].as_array().unwrap().len(), 1, "policies left out stay");
}

#[tokio::test]
async fn policies_are_replaced_and_keys_left_out_are_made_anew() {
    let world = world().await;
    world.plant().await;
    let list = format!("{}/listkeys", id("plant"));
    let mut policies = world.post(&list).await.json["value"].clone();
    let old = policies[0].clone();
    policies[0]["primaryKey"] = Value::Null;
    policies.as_array_mut().unwrap().push(json!({"keyName": "reader", "rights": "RegistrationStatusRead,EnrollmentRead"}));
    let body = json!({"location": "West US", "properties": {"authorizationPolicies": policies}});
    assert_eq!(world.put(&id("plant"), body).await.status, 200);
    let told = world.post(&list).await.json["value"].clone();
    assert_ne!(told[0]["primaryKey"], old["primaryKey"]);
    assert_eq!(told[0]["secondaryKey"], old["secondaryKey"]);
    assert_eq!(told[1]["rights"], "EnrollmentRead, RegistrationStatusRead");
    assert_eq!(world.post(&format!("{}/keys/READER/listkeys", id("plant"))).await.json, told[1]);
}

#[tokio::test]
async fn etags_guard_changes_and_deletions() {
    let world = world().await;
    let etag = world.plant().await.json["etag"].as_str().unwrap().to_owned();
    let body = || json!({"location": "westus", "tags": {"n": "1"}});
    let with = |etag: &str| [("if-match", etag.to_owned())];
    let send = async |method: &str, headers: &[(&str, String)], body: Value| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.send(method, &id("plant"), &headers, body).await
    };
    assert_eq!(send("PUT", &with(&etag), body()).await.status, 200);
    assert_eq!(send("PUT", &with(&etag), body()).await.status, 412);
    assert_eq!(send("PATCH", &with(&etag), json!({"tags": {}})).await.status, 412);
    assert_eq!(send("DELETE", &with(&etag), Value::Null).await.status, 412);
    assert_eq!(send("PUT", &[("if-none-match", "*".into())], body()).await.status, 412);
    let patched = send("PATCH", &with("*"), json!({"tags": {"only": "this"}})).await;
    assert_eq!((patched.status, &patched.json["tags"]), (200, &json!({"only": "this"})));
    let operation = format!("{}/operationresults/{}", id("plant"), patched.json["etag"].as_str().unwrap());
    assert_eq!(world.get(&operation).await.json["status"], "Succeeded");
    assert_eq!(send("DELETE", &[], Value::Null).await.status, 200);
    assert_eq!(send("DELETE", &[], Value::Null).await.status, 204);
    assert_eq!(world.get(&id("plant")).await.status, 404);
}

#[tokio::test]
async fn a_service_is_found_in_its_own_group_only_and_its_name_is_taken_in_all() {
    let world = world().await;
    world.plant().await;
    let elsewhere = usher_api_management::resource_id("elsewhere", "plant");
    assert_eq!(world.get(&elsewhere).await.status, 404);
    assert_eq!(world.send("DELETE", &elsewhere, &[], Value::Null).await.status, 204);
    let refused = world.put(&elsewhere, json!({"location": "westus"})).await;
    assert_eq!((refused.status, refused.json["error"]["code"].as_str()), (409, Some("Conflict")));
    assert_eq!(world.get(&id("plant")).await.status, 200);
    let listed = |group: &str| id("plant").replace("/works/", &format!("/{group}/")).replace("/plant", "");
    assert_eq!(world.get(&listed("WORKS")).await.json["value"].as_array().unwrap().len(), 1);
    assert_eq!(world.get(&listed("elsewhere")).await.json["value"], json!([]));
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_in_azures_shape() {
    let world = world().await;
    world.plant().await;
    let location = |more: Value| json!({"location": "westus", "properties": more});
    let wrong = [
        ("plant", json!({"location": "eastus"}), 409),
        ("plant", location(json!({"idScope": "0neOTHER"})), 400),
        ("plant", location(json!({"authorizationPolicies": []})), 400),
        ("plant", location(json!({"authorizationPolicies": [{"keyName": "a", "rights": "Everything"}]})), 400),
        ("plant", location(json!({"authorizationPolicies": [{"keyName": "a", "rights": "ServiceConfig", "primaryKey": "x"}]})), 400),
        ("plant", location(json!({"allocationPolicy": "Custom"})), 400),
        ("plant", location(json!({"ipFilterRules": [{"filterName": "a"}]})), 400),
        ("plant", location(json!({"disableLocalAuth": true})), 400),
        ("new", json!({}), 400),
        ("new", json!([]), 400),
        ("new", json!({"location": "x", "sku": {"name": "S2"}}), 400),
        ("new", json!({"location": "x", "tags": {"a": 1}}), 400),
        ("-x-", json!({"location": "x"}), 400),
        ("new", location(json!({"serviceOperationsHostName": "plant.example"})), 409),
    ];
    for (name, body, status) in wrong {
        let refused = world.put(&id(name), body.clone()).await;
        assert_eq!(refused.status, status, "{body}");
        assert!(!refused.json["error"]["message"].as_str().unwrap().is_empty() && refused.json["code"] == refused.json["error"]["code"]);
    }
    assert_eq!(world.get(&id("new")).await.status, 404);
    assert_eq!(world.send("PATCH", &id("plant"), &[], json!({"properties": {}})).await.status, 400);
    assert_eq!(world.post(&id("plant")).await.status, 405);
}

#[tokio::test]
async fn names_can_be_given_to_a_new_service_alone() {
    let world = world().await;
    let names = json!({"idScope": "0ne00FACADE", "serviceOperationsHostName": "dps.works.example:8443"});
    let made = world.put(&id("moved"), json!({"location": "x", "properties": names.clone()})).await;
    assert_eq!((made.status, made.json["properties"]["idScope"].as_str()), (201, Some("0ne00FACADE")));
    assert_eq!(made.json["properties"]["serviceOperationsHostName"], "dps.works.example");
    assert_eq!(world.put(&id("moved"), json!({"location": "x", "properties": names.clone()})).await.status, 200);
    assert_eq!(world.put(&id("third"), json!({"location": "x", "properties": names})).await.status, 409);
}

#[tokio::test]
async fn usage_is_told_by_month() {
    let world = world().await;
    world.plant().await;
    let tenant = world.directory.by_name("plant").await.unwrap().unwrap();
    tenant.registry.commit(vec![tenant.registry.meter(world::now())]).await.unwrap();
    let told = world.get(&format!("{}/usage?months=2", id("plant"))).await.json;
    assert_eq!(told["value"], json!([{"month": "2026-06", "operations": 1}, {"month": "2026-05", "operations": 0}]));
    assert_eq!(world.get(&format!("{}/usage?months=x", id("plant"))).await.status, 400);
}

#[tokio::test]
async fn nothing_is_told_without_the_token() {
    let world = world().await;
    for (method, path) in [("GET", id("plant")), ("PUT", id("plant")), ("GET", "/subscriptions".to_owned()), ("GET", "/providers/x".into())]
    {
        for token in ["", "Bearer", "Bearer wrong", "Basic the-admin-token"] {
            let request = http::Request::builder().method(method).uri(&path).header("authorization", token);
            let response = world.api.handle(request.body(bytes::Bytes::new()).unwrap()).await;
            assert_eq!(response.status(), 401, "{method} {path} {token}");
        }
    }
}

#[tokio::test]
async fn linked_hubs_are_listed_once_for_tools_that_look_for_their_host_names() {
    let world = world().await;
    world.plant().await;
    let listed = world.get(&format!("/subscriptions/{}/providers/Microsoft.Devices/IotHubs", usher_api_management::SUBSCRIPTION)).await;
    let hubs = listed.json["value"].as_array().unwrap();
    assert_eq!((listed.status, hubs.len(), &hubs[0]["properties"]["hostName"]), (200, 1, &serde_json::json!("localhost")));
    assert!(!listed.json.to_string().contains("Key"), "no secrets of hubs");
}
