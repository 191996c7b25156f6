//! The hub's REST, request by request, as Azure's service SDKs use it.
#![allow(clippy::unwrap_used)]

mod bed;

use bed::{Bed, HUB, id, json};
use serde_json::json;

#[tokio::test]
async fn a_device_is_made_read_updated_and_removed() {
    let bed = Bed::new().await;
    let path = "/devices/press%2B7?api-version=2021-04-12";
    let made = bed.owner("PUT", path, &[], r#"{"deviceId":"press+7","status":"enabled","authentication":{"type":"sas"}}"#).await;
    assert_eq!(made.status(), 200);
    let device = json(&made);
    assert_eq!(
        (&device["deviceId"], &device["status"], &device["connectionState"]),
        (&json!("press+7"), &json!("enabled"), &json!("Disconnected"))
    );
    assert_eq!(device["authentication"]["symmetricKey"]["primaryKey"].as_str().unwrap().len(), 44);
    let etag = device["etag"].as_str().unwrap();
    assert_eq!(made.headers()["etag"], format!("\"{etag}\""));

    let again = bed.owner("PUT", path, &[], r#"{"deviceId":"press+7"}"#).await;
    assert_eq!((again.status().as_u16(), again.headers()["iothub-errorcode"].to_str().unwrap()), (409, "DeviceAlreadyExists"));

    let updated = bed.owner("PUT", path, &[("if-match", "\"*\"")], r#"{"deviceId":"press+7","status":"disabled"}"#).await;
    assert_eq!(json(&updated)["status"], "disabled");
    assert_eq!(json(&updated)["authentication"], device["authentication"]);
    let stale = format!("\"{etag}\"");
    let refused = bed.owner("DELETE", path, &[("if-match", &stale)], "").await;
    assert_eq!((refused.status().as_u16(), refused.headers()["iothub-errorcode"].to_str().unwrap()), (412, "PreconditionFailed"));
    let gone = bed.owner("DELETE", path, &[("if-match", "\"*\"")], "").await;
    assert_eq!((gone.status().as_u16(), gone.body().len()), (204, 0));

    let missing = bed.owner("GET", path, &[], "").await;
    assert_eq!(missing.status(), 404);
    let message = json(&missing)["Message"].as_str().unwrap().to_owned();
    let (code, text) = message.split_once(';').unwrap();
    assert_eq!(code, "ErrorCode:DeviceNotFound");
    assert!(!text.is_empty() && !text.contains(';'));
    assert!(json(&missing)["ExceptionMessage"].as_str().unwrap().starts_with("Tracking ID:"));
}

#[tokio::test]
async fn every_door_is_locked_to_those_without_the_permission() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    // (path, method, the only policies that may, apart from the owner)
    let doors = [
        ("GET", "/devices", &["registryRead", "registryReadWrite"][..]),
        ("POST", "/devices", &["registryReadWrite"]),
        ("GET", "/devices/d", &["registryRead", "registryReadWrite"]),
        ("PUT", "/devices/d", &["registryReadWrite"]),
        ("DELETE", "/devices/d", &["registryReadWrite"]),
        ("GET", "/devices/d/modules", &["registryRead", "registryReadWrite"]),
        ("DELETE", "/devices/d/commands", &["service"]),
        ("POST", "/devices/d/messages/deviceBound", &["service"]),
        ("POST", "/messages/deviceBound", &["service"]),
        ("GET", "/twins/d", &["service"]),
        ("PATCH", "/twins/d", &["service"]),
        ("PUT", "/twins/d", &["service"]),
        ("POST", "/twins/d/methods", &["service"]),
        ("POST", "/devices/query", &["service"]),
        ("GET", "/statistics/devices", &["registryRead", "registryReadWrite"]),
        ("GET", "/statistics/service", &["service"]),
        ("GET", "/configurations", &["registryRead", "registryReadWrite"]),
        ("GET", "/usher/telemetry", &["service"]),
        ("GET", "/usher/certificates", &["registryRead", "registryReadWrite"]),
        ("PUT", "/usher/certificates/c", &["registryReadWrite"]),
        ("DELETE", "/usher/certificates/c", &["registryReadWrite"]),
    ];
    for (method, path, may) in doors {
        let anonymous = bed.send(method, path, &[], "not json").await;
        assert_eq!(anonymous.status(), 401, "{method} {path}");
        assert!(!String::from_utf8_lossy(anonymous.body()).contains("Authorization"), "the reason is for the log alone");
        let elsewhere = bed.policy_token("iothubowner", "other.example");
        assert_eq!(bed.send(method, path, &[("authorization", &elsewhere)], "not json").await.status(), 401, "{method} {path}");
        let owner = bed.policy_token("iothubowner", HUB);
        for (name, value) in
            [("authorization", owner.replace("sig=", "sig=AAAA")), ("authorization", owner.replace("skn=iothubowner", "skn=nobody"))]
        {
            assert_eq!(bed.send(method, path, &[(name, &value)], "not json").await.status(), 401, "{method} {path}");
        }
        for policy in ["service", "device", "registryRead", "registryReadWrite"] {
            let token = bed.policy_token(policy, HUB);
            if !may.contains(&policy) {
                let refused = bed.send(method, path, &[("authorization", &token)], "not json").await;
                assert_eq!(refused.headers()["iothub-errorcode"], "IotHubUnauthorized", "{method} {path} as {policy}");
                assert_eq!(refused.status(), 401);
            } else if method != "DELETE" && method != "PUT" {
                let passed = bed.send(method, path, &[("authorization", &token)], "not json").await;
                assert!(!matches!(passed.status().as_u16(), 401 | 403), "{method} {path} as {policy}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_expire_and_may_be_narrower_than_the_hub() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let narrow = bed.policy_token("iothubowner", &format!("{HUB}/devices/d"));
    assert_eq!(bed.send("GET", "/devices/d", &[("authorization", &narrow)], "").await.status(), 200);
    assert_eq!(bed.send("GET", "/devices", &[("authorization", &narrow)], "").await.status(), 401);
    let with_port = bed.policy_token("service", &format!("{HUB}:8443"));
    assert_eq!(bed.send("GET", "/twins/d", &[("authorization", &with_port)], "").await.status(), 401);
    bed.clock.advance_millis(5 * 3_600 * 1_000);
    assert_eq!(bed.send("GET", "/devices/d", &[("authorization", &narrow)], "").await.status(), 401);
}

#[tokio::test]
async fn twins_are_read_patched_and_replaced_under_etags() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let read = bed.owner("GET", "/twins/d?api-version=2021-04-12", &[], "").await;
    let etag = read.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(etag, format!("\"{}\"", json(&read)["etag"].as_str().unwrap()));
    let patch = r#"{"tags":{"site":"a"},"properties":{"desired":{"rate":5}}}"#;
    let patched = json(&bed.owner("PATCH", "/twins/d", &[("if-match", &etag)], patch).await);
    assert_eq!((&patched["tags"]["site"], &patched["properties"]["desired"]["rate"]), (&json!("a"), &json!(5)));
    assert_eq!((&patched["properties"]["desired"]["$version"], &patched["version"]), (&json!(2), &json!(3)));
    assert!(patched["properties"]["desired"]["$metadata"]["rate"]["$lastUpdated"].is_string());
    assert_eq!(bed.owner("PATCH", "/twins/d", &[("if-match", &etag)], patch).await.status(), 412);
    let whole = patched.to_string();
    let replaced = json(&bed.owner("PUT", "/twins/d", &[("if-match", "\"*\"")], whole).await);
    assert_eq!(replaced["tags"], patched["tags"], "a twin that was read can be written back");
    assert_eq!(bed.owner("PATCH", "/twins/none", &[], "{}").await.status(), 404);
    assert_eq!(bed.owner("PATCH", "/twins/d", &[], r#"{"tags":{"a.b":1}}"#).await.status(), 400);
    assert_eq!(bed.owner("PATCH", "/twins/d", &[], "{").await.status(), 400);
}

#[tokio::test]
async fn queries_page_by_headers() {
    let bed = Bed::new().await;
    for n in 0..5 {
        bed.make(&format!("d{n}"), json!({})).await;
    }
    let query = r#"{"query":"SELECT * FROM devices WHERE status = 'enabled'"}"#;
    let first = bed.owner("POST", "/devices/query", &[("x-ms-max-item-count", "3")], query).await;
    assert_eq!((json(&first).as_array().unwrap().len(), first.headers()["x-ms-item-type"].to_str().unwrap()), (3, "twin"));
    let token = first.headers()["x-ms-continuation"].to_str().unwrap();
    let headers = [("x-ms-max-item-count", "3"), ("x-ms-continuation", token)];
    let second = bed.owner("POST", "/devices/query", &headers, query).await;
    assert_eq!((json(&second).as_array().unwrap().len(), second.headers().get("x-ms-continuation")), (2, None));
    assert_eq!(bed.owner("POST", "/devices/query", &[], r#"{"query":"SELECT"}"#).await.status(), 400);
    assert_eq!(json(&bed.owner("GET", "/devices?top=2", &[], "").await).as_array().unwrap().len(), 2);
    let statistics = json(&bed.owner("GET", "/statistics/devices", &[], "").await);
    assert_eq!(statistics, json!({"totalDeviceCount": 5, "enabledDeviceCount": 5, "disabledDeviceCount": 0}));
}

#[tokio::test]
async fn bulk_requests_tell_each_failure() {
    let bed = Bed::new().await;
    let create = r#"[{"id":"a","importMode":"create"},{"id":"b","importMode":"create"}]"#;
    let made = bed.owner("POST", "/devices", &[], create).await;
    assert_eq!((made.status().as_u16(), json(&made)), (200, json!({"isSuccessful": true, "errors": [], "warnings": []})));
    let again = bed.owner("POST", "/devices", &[], create).await;
    assert_eq!((again.status().as_u16(), json(&again)["errors"][0]["errorCode"].clone()), (400, json!("DeviceAlreadyExists")));
}

#[tokio::test]
async fn messages_to_devices_are_queued_and_purged() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let headers = [
        ("iothub-to", "/devices/d/messages/deviceBound"),
        ("iothub-messageid", "m1"),
        ("iothub-app-colour", "red"),
        ("iothub-ack", "full"),
    ];
    assert_eq!(bed.owner("POST", "/messages/deviceBound", &headers, "hello").await.status(), 204);
    assert_eq!(
        bed.owner("POST", "/devices/d/messages/deviceBound", &[("iothub-expiry", "2020-01-01T00:00:00Z")], "late").await.status(),
        400
    );
    let (_, message) = bed.hub.next_message(&id("d"), 0).await.unwrap().unwrap();
    assert_eq!(
        (message.message_id.as_deref(), message.ack.as_deref(), message.body.as_slice()),
        (Some("m1"), Some("full"), b"hello".as_slice())
    );
    assert_eq!(message.properties, [("colour".to_owned(), "red".to_owned())]);
    assert_eq!(json(&bed.owner("GET", "/devices/d", &[], "").await)["cloudToDeviceMessageCount"], 1);
    assert_eq!(json(&bed.owner("DELETE", "/devices/d/commands", &[], "").await)["totalMessagesPurged"], 1);
}

#[tokio::test]
async fn devices_send_telemetry_over_http() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let token = bed.device_token("d", 60).await;
    let path = "/devices/d/messages/events?api-version=2021-04-12";
    let headers = [("authorization", token.as_str()), ("iothub-app-unit", "C"), ("iothub-messageid", "7")];
    assert_eq!(bed.send("POST", path, &headers, r#"{"t":21}"#).await.status(), 204);
    assert_eq!(bed.send("POST", path, &[], "x").await.status(), 401);
    let none = bed.send("POST", "/devices/none/messages/events", &headers, "x").await;
    assert_eq!(none.status(), 401, "strangers do not learn which devices there are");
    let seen = json(&bed.owner("GET", "/usher/telemetry?after=0&deviceId=d", &[], "").await);
    assert_eq!((&seen[0]["body"], &seen[0]["properties"]), (&json!({"t": 21}), &json!({"$.mid": "7", "unit": "C"})));
    assert_eq!(bed.owner("GET", "/usher/telemetry?top=x", &[], "").await.status(), 400);
}

#[tokio::test]
async fn unknown_paths_and_wrong_verbs_are_told_apart() {
    let bed = Bed::new().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/jobs/v2", 404),
        ("GET", "/twins/d/modules/m", 404),
        ("PUT", "/devices", 405),
        ("DELETE", "/twins/d", 405),
        ("GET", "/devices/query", 405),
        ("GET", "/devices/a%20b", 400),
        ("GET", "/devices/%ff", 400),
    ] {
        let refused = bed.owner(method, path, &[], "").await;
        assert_eq!(refused.status().as_u16(), status, "{method} {path}");
        assert!(json(&refused)["Message"].as_str().unwrap().starts_with("ErrorCode:"), "{method} {path}");
        assert_eq!(refused.headers().contains_key("allow"), status == 405);
    }
    assert_eq!(bed.owner("POST", "/devices", &[], vec![b' '; 2 * 1024 * 1024]).await.status(), 413);
    assert!(usher_api_hub::HubRest::owns("/devices/d") && !usher_api_hub::HubRest::owns("/0ne1/registrations/d/register"));
}
