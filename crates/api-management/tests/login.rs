//! The log-in, through the API's one door.
#![allow(clippy::unwrap_used)]

mod world;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use usher_api_management::{CLIENT_ID, ClientAddress, SUBSCRIPTION, claims};
use world::{TOKEN, World, world};

async fn log_in(world: &World, secret: &str, from: &str) -> Response<Bytes> {
    let form =
        format!("client_id={CLIENT_ID}&client_secret={secret}&grant_type=client_credentials&scope=https%3A%2F%2Flocalhost%2F.default");
    let path = format!("/{SUBSCRIPTION}/oauth2/v2.0/token");
    assert!(claims(&path));
    let mut request = Request::post(path).body(Bytes::from(form)).unwrap();
    request.extensions_mut().insert(ClientAddress(from.parse().unwrap()));
    world.api.handle(request).await
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

async fn list(world: &World, token: &str) -> u16 {
    let request = Request::get(format!("/subscriptions/{SUBSCRIPTION}/resourceGroups?api-version=2021-10-15"));
    let request = request.header("authorization", format!("Bearer {token}")).body(Bytes::new()).unwrap();
    world.api.handle(request).await.status().as_u16()
}

#[tokio::test]
async fn the_admin_token_buys_a_token_for_an_hour() {
    let world = world().await;
    let response = log_in(&world, TOKEN, "192.0.2.1").await;
    assert_eq!((response.status().as_u16(), response.headers()["cache-control"].to_str().unwrap()), (200, "no-store"));
    let body = json(&response);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &3600.into()));
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(list(&world, token).await, 200);
    assert_eq!(list(&world, &format!("{token}x")).await, 401);
    world.clock.advance_millis(3_600_000);
    assert_eq!(list(&world, token).await, 401);
    assert_eq!(list(&world, TOKEN).await, 200, "the admin token itself stays good");
}

#[tokio::test]
async fn failed_log_ins_are_limited_by_network_and_for_a_while() {
    let world = world().await;
    for n in 0..10 {
        let refused = log_in(&world, "wrong", &format!("2001:db8::{n}")).await;
        assert_eq!((refused.status().as_u16(), &json(&refused)["error"]), (401, &"invalid_client".into()));
    }
    let limited = log_in(&world, TOKEN, "2001:db8::ffff").await;
    assert_eq!(limited.status(), 429);
    assert_eq!(limited.headers()["retry-after"], "6");
    assert_eq!(log_in(&world, TOKEN, "2001:db8:0:1::1").await.status(), 200, "another network");
    world.clock.advance_millis(6_000);
    assert_eq!(log_in(&world, TOKEN, "2001:db8::1").await.status(), 200);
}

#[tokio::test]
async fn other_forms_are_refused_in_oauths_words() {
    let world = world().await;
    let path = format!("/{SUBSCRIPTION}/oauth2/v2.0/token");
    let long = "a".repeat(9000);
    for (form, error) in [
        ("grant_type=password&username=a&password=b", "unsupported_grant_type"),
        ("", "unsupported_grant_type"),
        ("grant_type=client_credentials", "invalid_client"),
        ("grant_type=client_credentials&client_id=other&client_secret=the-admin-token", "invalid_client"),
        (long.as_str(), "invalid_request"),
    ] {
        let response = world.api.handle(Request::post(&path).body(Bytes::from(form.to_owned())).unwrap()).await;
        assert_eq!(json(&response)["error"], error, "{form}");
    }
}

#[tokio::test]
async fn anyone_may_read_where_to_log_in() {
    let world = world().await;
    for path in
        ["/metadata/endpoints?api-version=2022-09-01", "/common/discovery/instance", "/common/v2.0/.well-known/openid-configuration"]
    {
        let response = world.api.handle(Request::get(path).body(Bytes::new()).unwrap()).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(json(&response).to_string().contains("https://devices.example"), "{path}");
    }
}
