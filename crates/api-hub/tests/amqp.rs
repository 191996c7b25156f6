//! Devices at the hub's AMQP endpoint, as Azure's device SDKs use it.
#![allow(clippy::unwrap_used)]

mod amqp_bed;
mod bed;

use amqp_bed::{Device, connect, dial, text};
use bed::{Bed, HUB, id};
use serde_json::{Value as Json, json};
use usher_amqp::codec::{
    message::{Body, Message, Properties},
    performative::{DeliveryState, Role},
    types::{Map, Value},
};
use usher_attestation::{Certificate, sas};
use usher_hub_embedded::cloud_message::CloudMessage;

const EVENTS: &str = "/devices/d/messages/events";
const TWIN: &str = "/devices/d/twin";
const METHODS: &str = "/devices/d/methods/devicebound";
const MAIL: &str = "/devices/d/messages/devicebound";
const DESIRED: &str = "/notifications/twin/properties/desired";
const UNAUTHORIZED: &str = "amqp:unauthorized-access";

async fn bed_with_d() -> Bed {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    bed
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_device_puts_its_token_and_sends_telemetry() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let events = device.attach(Role::Sender, &format!("amqps://{HUB}{EVENTS}")).await.unwrap();
    let message = Message {
        properties: Properties { content_type: Some("application/json".into()), ..Properties::default() },
        application_properties: Map::new().with("unit", "C"),
        ..Message::data(r#"{"t":21}"#)
    };
    assert_eq!(device.send(events, &message).await, Some(DeliveryState::Accepted));
    let seen = bed.hub.telemetry().after(0, Some("d"), 10);
    assert_eq!(seen[0].body, br#"{"t":21}"#);
    assert_eq!(seen[0].properties, [("$.ct".to_owned(), "application/json".to_owned()), ("unit".to_owned(), "C".to_owned())]);
    assert_eq!(bed.hub.connected(), 1);
    device.leave().await;
    assert_eq!(bed.hub.connected(), 0);
    assert!(bed.hub.device(&id("d")).await.unwrap().last_activity.is_some());
}

#[tokio::test]
async fn telemetry_that_breaks_the_rules_is_rejected_and_the_connection_lives_on() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let events = device.attach(Role::Sender, EVENTS).await.unwrap();
    let too_large = Message::data(vec![0; usher_hub_embedded::telemetry::MESSAGE_BYTES_MAX + 1]);
    let Some(DeliveryState::Rejected(Some(error))) = device.send(events, &too_large).await else { panic!("it was taken") };
    assert_eq!(error.condition, "amqp:link:message-size-exceeded");
    let listed = Message { application_properties: Map::new().with("a", Value::List(vec![])), ..Message::data("") };
    let Some(DeliveryState::Rejected(Some(error))) = device.send(events, &listed).await else { panic!("it was taken") };
    assert_eq!(error.condition, "com.microsoft:argument-error");
    assert_eq!(device.send(events, &Message::data("fine")).await, Some(DeliveryState::Accepted));
    assert_eq!(bed.hub.telemetry().after(0, None, 10).len(), 1);
}

#[tokio::test]
async fn a_batch_is_kept_message_by_message_or_not_at_all() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let events = device.attach(Role::Sender, EVENTS).await.unwrap();
    let warm = Message { application_properties: Map::new().with("unit", "C"), ..Message::data("21") };
    let listed = Message { application_properties: Map::new().with("a", Value::List(vec![])), ..Message::data("22") };
    let batch = |parts: &[&Message]| Message {
        format: 0x8001_3700,
        body: Body::Data(parts.iter().map(|part| part.encode()).collect()),
        ..Message::default()
    };
    let Some(DeliveryState::Rejected(Some(error))) = device.send(events, &batch(&[&warm, &listed])).await else { panic!("it was taken") };
    assert_eq!(error.condition, "com.microsoft:argument-error");
    assert!(bed.hub.telemetry().after(0, None, 10).is_empty());
    assert_eq!(device.send(events, &batch(&[&warm, &Message::data("23")])).await, Some(DeliveryState::Accepted));
    let seen = bed.hub.telemetry().after(0, Some("d"), 10);
    assert_eq!(seen.iter().map(|message| &message.body[..]).collect::<Vec<_>>(), [b"21", b"23"]);
    assert_eq!(seen[0].properties, [("unit".to_owned(), "C".to_owned())]);
}

#[tokio::test]
async fn a_wrong_token_is_answered_401_and_opens_no_link() {
    let bed = bed_with_d().await;
    bed.make("e", json!({})).await;
    let key = [7; 32];
    let forged = sas::sign(&format!("{HUB}/devices/d"), &key, bed.now_s() + 60, None);
    let of_another = bed.device_token("e", 60).await;
    let expired = bed.device_token("d", -3_600).await;
    let good = bed.device_token("d", 60).await;
    let (d, nobody) = (format!("{HUB}/devices/d"), format!("{HUB}/devices/nobody"));
    let cases =
        [(&d, &forged), (&d, &of_another), (&d, &expired), (&d, &"no token".to_owned()), (&nobody, &good), (&HUB.to_owned(), &good)];
    for (audience, token) in cases {
        let mut device = dial(&bed, HUB, vec![]).await;
        let (status, description) = device.put_token(audience, token).await;
        assert_eq!((status, description.split('.').next()), (401, Some("Unauthorized")), "{audience}: one word for all");
        assert!(description.contains("Tracking ID"), "{description}");
        assert_eq!(device.attach(Role::Sender, EVENTS).await.unwrap_err().condition, UNAUTHORIZED);
    }
    assert_eq!(bed.hub.connected(), 0);
}

#[tokio::test]
async fn guessing_ends_the_connection() {
    let bed = bed_with_d().await;
    let mut device = dial(&bed, HUB, vec![]).await;
    for _ in 0..7 {
        assert_eq!(device.put_token(&format!("{HUB}/devices/d"), "no token").await.0, 401);
    }
    assert_eq!(device.attach(Role::Sender, EVENTS).await.unwrap_err().condition, UNAUTHORIZED);
    assert_eq!(device.closed().await.condition, "amqp:not-allowed");
}

#[tokio::test]
async fn a_link_needs_its_own_device_and_the_right_direction() {
    let bed = bed_with_d().await;
    bed.make("e", json!({})).await;
    let mut device = connect(&bed, "d").await;
    for (role, address, condition) in [
        (Role::Sender, "/devices/e/messages/events", UNAUTHORIZED),
        (Role::Receiver, "/devices/e/messages/devicebound", UNAUTHORIZED),
        (Role::Sender, "/devices/d/modules/m/messages/events", "amqp:not-implemented"),
        (Role::Sender, "/devices/d/files", "amqp:not-found"),
        (Role::Receiver, EVENTS, "amqp:not-allowed"),
        (Role::Sender, MAIL, "amqp:not-allowed"),
    ] {
        assert_eq!(device.attach(role, address).await.unwrap_err().condition, condition, "{address}");
    }
    // Another device's good token does not make the connection that device's.
    let token = bed.device_token("e", 60).await;
    let (status, description) = device.put_token(&format!("{HUB}/devices/e"), &token).await;
    assert_eq!((status, description.split('.').next()), (401, Some("Unauthorized")));
    assert!(device.attach(Role::Sender, EVENTS).await.is_ok(), "the device itself goes on");
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_told_so() {
    let bed = bed_with_d().await;
    let mut device = dial(&bed, "other.example", vec![]).await;
    let _ = device.session.attach(usher_amqp::client::Link {
        role: Role::Sender,
        name: "l".into(),
        address: "$cbs".into(),
        properties: Map::new(),
    });
    assert_eq!(device.closed().await.condition, "amqp:not-found");
}

#[tokio::test]
async fn the_twin_is_read_reported_and_followed() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let (ask, _) = device.attach_both(TWIN).await;
    let (status, version, body) = device.ask_twin(ask, "GET", "", " ").await;
    assert_eq!((status, version), (200, None));
    assert_eq!(parsed(&body), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));

    let reported = device.ask_twin(ask, "PATCH", "/properties/reported", r#"{"fw":"1.2"}"#).await;
    assert_eq!(reported, (204, Some(2), String::new()));
    let (status, _, body) = device.ask_twin(ask, "PATCH", "/properties/reported", "no JSON").await;
    assert_eq!((status, &parsed(&body)["errorCode"]), (400, &json!(400_004)));
    assert_eq!(device.ask_twin(ask, "POST", "/", "").await.0, 400);

    assert_eq!(device.ask_twin(ask, "PUT", DESIRED, " ").await.0, 200);
    bed.owner("PATCH", "/twins/d", &[], r#"{"properties":{"desired":{"rate":5}}}"#).await;
    let change = device.message().await;
    assert_eq!(change.properties.correlation_id, None);
    assert_eq!(parsed(&text(&change)), json!({"rate": 5, "$version": 2}));

    assert_eq!(device.ask_twin(ask, "DELETE", DESIRED, " ").await.0, 200);
    bed.owner("PATCH", "/twins/d", &[], r#"{"properties":{"desired":{"rate":6}}}"#).await;
    let (_, _, body) = device.ask_twin(ask, "GET", "", " ").await;
    assert_eq!(parsed(&body)["desired"]["rate"], 6, "the answer came, and no change before it");
}

async fn method_called(device: &mut Device) -> Message {
    let call = device.message().await;
    assert_eq!(call.application_properties.get_str("IoThub-methodname"), Some("blink"));
    call
}

#[tokio::test]
async fn a_method_is_called_and_answered() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let (answers, _) = device.attach_both(METHODS).await;
    let hub = bed.hub.clone();
    let caller = tokio::spawn(async move { hub.call_method(&id("d"), "blink", Some(&json!(7)), 0, 10).await });
    let call = method_called(&mut device).await;
    assert_eq!(text(&call), "7");
    let answer = Message {
        properties: Properties { correlation_id: call.properties.correlation_id, ..Properties::default() },
        application_properties: Map::new().with("IoThub-status", 200_i32),
        ..Message::data(r#"{"echo":7}"#)
    };
    assert_eq!(device.send(answers, &answer).await, Some(DeliveryState::Accepted));
    let result = caller.await.unwrap().unwrap();
    assert_eq!((result.status, result.payload), (200, json!({"echo": 7})));
}

#[tokio::test]
async fn a_message_waits_until_the_device_accepts_it() {
    let bed = bed_with_d().await;
    let message = CloudMessage {
        message_id: Some("m-1".into()),
        ack: Some("full".into()),
        properties: vec![("a".into(), "b".into())],
        body: b"hello".to_vec(),
        ..CloudMessage::default()
    };
    bed.hub.send(&id("d"), &message).await.unwrap();
    let mut device = connect(&bed, "d").await;
    let mail = device.attach(Role::Receiver, MAIL).await.unwrap();
    let (_, first) = device.delivery().await;
    assert_eq!(first.properties.message_id, Some("m-1".into()));
    assert_eq!(first.properties.to.as_deref(), Some(MAIL));
    assert_eq!(["iothub-ack", "a"].map(|name| first.application_properties.get_str(name)), [Some("full"), Some("b")]);

    device.session.detach(mail);
    device.flush().await;
    device.attach(Role::Receiver, MAIL).await.unwrap();
    assert_eq!(text(&device.message().await), "hello", "it was not settled, so it comes again");
    bed.hub.send(&id("d"), &CloudMessage { body: b"next".to_vec(), ..CloudMessage::default() }).await.unwrap();
    assert_eq!(text(&device.message().await), "next");
    device.leave().await;
    assert_eq!(bed.hub.next_message(&id("d"), 0).await.unwrap(), None);
}

#[tokio::test]
async fn a_certificate_proves_a_device_at_its_first_link() {
    let bed = Bed::new().await;
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "d");
    let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let thumbprint = Certificate::from_der(&certificate).unwrap().info().sha256_thumbprint.clone();
    let authentication = json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}});
    bed.make("d", json!({"authentication": authentication})).await;
    bed.make("e", json!({})).await;

    let mut device = dial(&bed, HUB, vec![certificate.clone()]).await;
    let events = device.attach(Role::Sender, EVENTS).await.unwrap();
    assert_eq!(device.send(events, &Message::data("x")).await, Some(DeliveryState::Accepted));
    assert_eq!(device.attach(Role::Sender, "/devices/e/messages/events").await.unwrap_err().condition, UNAUTHORIZED);

    let mut other = dial(&bed, HUB, vec![certificate]).await;
    assert_eq!(other.attach(Role::Sender, "/devices/e/messages/events").await.unwrap_err().condition, UNAUTHORIZED);
}

#[tokio::test]
async fn the_hub_ends_connections_that_are_superseded_or_no_longer_allowed() {
    let bed = bed_with_d().await;
    let mut first = connect(&bed, "d").await;
    let mut second = connect(&bed, "d").await;
    assert_eq!(first.closed().await.condition, "amqp:connection:forced");
    bed.owner("DELETE", "/devices/d", &[("if-match", "*")], "").await;
    assert_eq!(second.closed().await.condition, UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_that_stops_closes_its_connections() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    bed.stop.send_replace(true);
    assert_eq!(device.closed().await.condition, "amqp:link:detach-forced", "Node comes back after this one");
}

#[tokio::test]
async fn a_token_is_renewed_and_a_bad_one_leaves_the_good_one_alone() {
    let bed = bed_with_d().await;
    let mut device = connect(&bed, "d").await;
    let audience = format!("{HUB}/devices/d");
    let events = device.attach(Role::Sender, EVENTS).await.unwrap();
    assert_eq!(device.put_token(&audience, "no token").await.0, 401);
    let expiring = bed.device_token("d", 60).await;
    assert_eq!(device.put_token(&audience, &expiring).await.0, 200);
    assert_eq!(device.send(events, &Message::data("x")).await, Some(DeliveryState::Accepted));
    let brief = bed.device_token("d", 1 - usher_attestation::CLOCK_SKEW_S).await;
    assert_eq!(device.put_token(&audience, &brief).await.0, 200, "within the tolerance for clocks");
    bed.clock.advance_millis(2_000);
    assert_eq!(device.closed().await.condition, UNAUTHORIZED);
}
