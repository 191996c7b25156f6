//! Devices at the hub's MQTT endpoint, as Azure's device SDKs use it.
#![allow(clippy::unwrap_used)]

mod bed;

use bed::{Bed, HUB, connect, hub_name, id, json};
use serde_json::{Value, json};
use usher_attestation::{Certificate, sas};
use usher_domain::{Secret, hub_device::DeviceCredential, hub_device::DeviceSpec, hub_device::InitialTwin};
use usher_hub::{Hub as _, TwinWrite};
use usher_hub_embedded::{etag::Condition, hub::Authority};
use usher_mqtt::{
    client::Event,
    packet::{Connect, ConnectCode, Qos, Will},
};

const TWIN: &str = "$iothub/twin/res/#";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const METHODS: &str = "$iothub/methods/POST/#";

fn body(publish: &usher_mqtt::packet::Publish) -> Value {
    serde_json::from_slice(&publish.payload).unwrap()
}

#[tokio::test]
async fn telemetry_is_acknowledged_once_it_is_taken() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut device = bed.connect("d", false).await;
    let packet_id = device.publish("devices/d/messages/events/%24.ct=application%2Fjson&unit=C", r#"{"t":21}"#, Qos::AtLeastOnce);
    assert_eq!(device.next().await, Some(Event::Published { packet_id }));
    let seen = bed.hub.telemetry().after(0, Some("d"), 10);
    assert_eq!(seen[0].body, br#"{"t":21}"#);
    assert_eq!(seen[0].properties, [("$.ct".to_owned(), "application/json".to_owned()), ("unit".to_owned(), "C".to_owned())]);
    assert_eq!(json(&bed.owner("GET", "/statistics/service", &[], "").await)["connectedDeviceCount"], 1);
    device.leave().await;
    assert_eq!(bed.hub.connected(), 0);
    assert!(bed.hub.device(&id("d")).await.unwrap().last_activity.is_some());
}

#[tokio::test]
async fn the_twin_is_read_reported_and_followed() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut device = bed.connect("d", true).await;
    for filter in [TWIN, DESIRED] {
        assert_eq!(device.subscribe(filter, Qos::AtLeastOnce).await, Some(Qos::AtLeastOnce));
    }
    device.publish("$iothub/twin/GET/?$rid=r-1", " ", Qos::AtMostOnce);
    let answer = device.message().await;
    assert_eq!(answer.topic, "$iothub/twin/res/200/?$rid=r-1");
    assert_eq!(body(&answer), json!({"desired": {"$version": 1}, "reported": {"$version": 1}}));

    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=r-2", r#"{"fw":"1.2","old":null}"#, Qos::AtMostOnce);
    let answer = device.message().await;
    assert_eq!((answer.topic.as_str(), answer.payload.len()), ("$iothub/twin/res/204/?$rid=r-2&$version=2", 0));

    bed.owner("PATCH", "/twins/d", &[], r#"{"properties":{"desired":{"rate":5}}}"#).await;
    let patch = device.message().await;
    assert_eq!(
        (patch.topic.as_str(), body(&patch)),
        ("$iothub/twin/PATCH/properties/desired/?$version=2", json!({"rate": 5, "$version": 2}))
    );

    device.publish("$iothub/twin/PATCH/properties/reported/?$rid=r-3", r#"{"a.b":1}"#, Qos::AtMostOnce);
    let refused = device.message().await;
    assert_eq!((refused.topic.as_str(), &body(&refused)["errorCode"]), ("$iothub/twin/res/400/?$rid=r-3", &json!(400_004)));
    let twin = json(&bed.owner("GET", "/twins/d", &[], "").await);
    assert_eq!((&twin["properties"]["reported"]["fw"], &twin["connectionState"]), (&json!("1.2"), &json!("Connected")));
}

#[tokio::test]
async fn a_method_reaches_the_device_and_its_answer_the_caller() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let call = r#"{"methodName":"re boot","payload":{"delay":1},"responseTimeoutInSeconds":5}"#;
    let away = bed.owner("POST", "/twins/d/methods?api-version=2021-04-12", &[], call).await;
    assert_eq!((away.status().as_u16(), away.headers()["iothub-errorcode"].to_str().unwrap()), (404, "DeviceNotOnline"));
    let inner: Value = serde_json::from_str(json(&away)["Message"].as_str().unwrap()).unwrap();
    assert_eq!(inner["errorCode"], 404_103);

    let mut device = bed.connect("d", true).await;
    device.subscribe(METHODS, Qos::AtMostOnce).await;
    let answering = async {
        let request = device.message().await;
        let (topic, request_id) = request.topic.split_once("?$rid=").unwrap();
        assert_eq!((topic, body(&request)), ("$iothub/methods/POST/re%20boot/", json!({"delay": 1})));
        device.publish(&format!("$iothub/methods/res/207/?$rid={request_id}"), r#"{"done":true}"#, Qos::AtMostOnce);
        device.flush().await;
        device
    };
    let (answer, _device) = tokio::join!(bed.owner("POST", "/twins/d/methods", &[], call), answering);
    assert_eq!((answer.status().as_u16(), json(&answer)), (200, json!({"status": 207, "payload": {"done": true}})));
    assert_eq!(bed.owner("POST", "/twins/none/methods", &[], call).await.status(), 404);
}

#[tokio::test]
async fn cloud_messages_wait_arrive_in_order_and_leave_once_acknowledged() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let send = async |n: usize| {
        let headers = [("iothub-messageid", "m 1"), ("iothub-app-unit", "C")];
        assert_eq!(bed.owner("POST", "/devices/d/messages/deviceBound", &headers, n.to_string()).await.status(), 204);
    };
    for n in 0..20 {
        send(n).await;
    }
    let mut device = bed.connect("d", true).await;
    device.subscribe("devices/d/messages/devicebound/#", Qos::AtLeastOnce).await;
    for n in 0..20 {
        let message = device.message().await;
        assert_eq!(message.payload, n.to_string());
        let bag = "%24.mid=m%201&%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound";
        assert!(message.topic.starts_with(&format!("devices/d/messages/devicebound/{bag}")), "{}", message.topic);
        assert!(message.topic.ends_with("unit=C"));
    }
    send(20).await;
    assert_eq!(device.message().await.payload, "20");
    device.leave().await;
    assert_eq!(bed.hub.next_message(&id("d"), 0).await.unwrap(), None);
}

#[tokio::test]
async fn a_message_that_was_not_acknowledged_comes_again() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    bed.owner("POST", "/devices/d/messages/deviceBound", &[], "again").await;
    let device = bed.connect("d", false).await;
    device.vanish().await;
    let mut device = bed.connect("d", false).await;
    device.subscribe("devices/d/messages/devicebound/#", Qos::AtLeastOnce).await;
    assert_eq!(device.message().await.payload, "again");
}

#[tokio::test]
async fn subscriptions_outlive_the_connection_unless_the_session_is_clean() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut device = bed.connect("d", false).await;
    device.subscribe(TWIN, Qos::AtLeastOnce).await;
    device.vanish().await;

    let mut device = bed.connect("d", false).await;
    device.publish("$iothub/twin/GET/?$rid=1", "", Qos::AtMostOnce);
    assert_eq!(device.message().await.topic, "$iothub/twin/res/200/?$rid=1");
    device.vanish().await;

    let mut device = bed.connect("d", true).await;
    device.publish("$iothub/twin/GET/?$rid=1", "", Qos::AtMostOnce);
    let packet_id = device.publish("devices/d/messages/events/", "x", Qos::AtLeastOnce);
    assert_eq!(device.next().await, Some(Event::Published { packet_id }), "no answer came before it");
}

#[tokio::test]
async fn the_newest_connection_of_a_device_closes_the_older_one() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut first = bed.connect("d", false).await;
    let mut second = bed.connect("d", false).await;
    first.closed().await;
    let packet_id = second.publish("devices/d/messages/events/", "x", Qos::AtLeastOnce);
    assert_eq!(second.next().await, Some(Event::Published { packet_id }));
}

#[tokio::test]
async fn removing_disabling_and_rekeying_end_a_connection() {
    let bed = Bed::new().await;
    for device in ["a", "b", "c"] {
        bed.make(device, json!({})).await;
    }
    let (mut a, mut b, mut c) = (bed.connect("a", true).await, bed.connect("b", true).await, bed.connect("c", true).await);
    bed.owner("DELETE", "/devices/a", &[], "").await;
    a.closed().await;
    bed.owner("PUT", "/devices/b", &[("if-match", "*")], r#"{"status":"disabled"}"#).await;
    b.closed().await;
    let key = Secret::new("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=");
    let spec = DeviceSpec {
        device_id: id("c"),
        credential: DeviceCredential::SymmetricKeys { primary: key.clone(), secondary: key },
        iot_edge: false,
    };
    bed.hub.ensure_device(&spec, TwinWrite::IfCreated(&InitialTwin::default())).await.unwrap();
    c.closed().await;
    let token = bed.device_token("b", 60).await;
    assert_eq!(bed.dial(connect("b", Some(&token), true), vec![]).verdict().await, ConnectCode::NotAuthorized);
}

#[tokio::test]
async fn strangers_are_refused() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    bed.make("e", json!({})).await;
    let good = bed.device_token("d", 60).await;
    let (others, expired) = (bed.device_token("e", 60).await, bed.device_token("d", -3_600).await);
    let key = sas::decode_key(bed.device_key("d").await.expose()).unwrap();
    let elsewhere = sas::sign("other.example/devices/d", &key, bed.now_s() + 60, None);
    let whole_hub = sas::sign(HUB, &key, bed.now_s() + 60, None);
    let powerless = bed.policy_token("service", HUB);
    let other_case = bed.policy_token("device", &format!("{HUB}/devices/D"));
    for (what, password) in [
        ("no credential", None),
        ("no token", Some("password".to_owned())),
        ("another device's token", Some(others)),
        ("an expired token", Some(expired)),
        ("a token for another hub", Some(elsewhere)),
        ("a device's token for the whole hub", Some(whole_hub)),
        ("a policy that may not connect", Some(powerless)),
        ("a policy's token for a device of another spelling", Some(other_case)),
        ("a changed signature", Some(good.replace("sig=", "sig=AAAA"))),
    ] {
        let mut device = bed.dial(connect("d", password.as_deref(), true), vec![]);
        assert_eq!(device.verdict().await, ConnectCode::NotAuthorized, "{what}");
        device.closed().await;
    }
    let user = |text: &str| Connect { user_name: Some(text.to_owned()), ..connect("d", Some(&good), true) };
    for name in ["", "hub.example", "none.example/d/?api-version=1", "hub.example/d/m/?api-version=1", "hub.example/none/?api-version=1"] {
        let mut device =
            bed.dial(Connect { client_id: if name.contains("none/") { "none".into() } else { "d".into() }, ..user(name) }, vec![]);
        assert_eq!(device.verdict().await, ConnectCode::NotAuthorized, "{name}");
    }
    let mut device = bed.dial(Connect { client_id: "x".into(), ..connect("d", Some(&good), true) }, vec![]);
    assert_eq!(device.verdict().await, ConnectCode::BadClientId);
    assert_eq!(bed.hub.connected(), 0);
}

#[tokio::test]
async fn a_policy_that_may_connect_stands_for_any_device() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    for resource in [HUB.to_owned(), format!("{HUB}/devices/d")] {
        let token = bed.policy_token("device", &resource);
        let mut device = bed.dial(connect("d", Some(&token), true), vec![]);
        assert_eq!(device.verdict().await, ConnectCode::Accepted, "{resource}");
        device.leave().await;
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    // Expired, but within the tolerance for clocks: a second of the connection is left.
    let token = bed.device_token("d", 1 - usher_attestation::CLOCK_SKEW_S).await;
    let mut device = bed.dial(connect("d", Some(&token), true), vec![]);
    assert_eq!(device.verdict().await, ConnectCode::Accepted);
    bed.clock.advance_millis(1_000);
    device.closed().await;
}

#[tokio::test]
async fn topics_that_the_hub_does_not_have_end_the_connection() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    for (topic, payload) in [
        ("devices/e/messages/events/", "x"),
        ("any/topic", "x"),
        ("$dps/registrations/PUT/iotdps-register/?$rid=1", "{}"),
        ("$iothub/methods/res/200/?$rid=1", "not json"),
        ("devices/d/messages/events/a=%ff", "x"),
    ] {
        let mut device = bed.connect("d", true).await;
        device.publish(topic, payload, Qos::AtMostOnce);
        device.closed().await;
    }
    let mut device = bed.connect("d", true).await;
    assert_eq!(device.subscribe("devices/e/messages/devicebound/#", Qos::AtLeastOnce).await, None);
    assert_eq!(device.subscribe("#", Qos::AtLeastOnce).await, None);
    let mut device = bed.connect("d", true).await;
    device.publish("devices/d/messages/events/", vec![0; 257 * 1024], Qos::AtMostOnce);
    device.closed().await;
}

#[tokio::test]
async fn a_lost_device_s_will_becomes_telemetry_and_a_leaver_s_does_not() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let will = Will { topic: "devices/d/messages/events/why=lost".into(), payload: "gone".into(), qos: Qos::AtLeastOnce, retain: false };
    for leaves in [true, false] {
        let token = bed.device_token("d", 60).await;
        let mut device = bed.dial(Connect { will: Some(will.clone()), ..connect("d", Some(&token), true) }, vec![]);
        assert_eq!(device.verdict().await, ConnectCode::Accepted);
        if leaves { device.leave().await } else { device.vanish().await }
    }
    let seen = bed.hub.telemetry().after(0, None, 10);
    assert_eq!((seen.len(), seen[0].body.as_slice()), (1, b"gone".as_slice()));
    assert!(seen[0].properties.contains(&("iothub-MessageType".to_owned(), "Will".to_owned())));
}

#[tokio::test]
async fn certificates_are_judged_by_thumbprint_and_by_authority() {
    let bed = Bed::new().await;
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca_parameters = rcgen::CertificateParams::new(vec![]).unwrap();
    ca_parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca_parameters.distinguished_name.push(rcgen::DnType::CommonName, "Plant CA");
    ca_parameters.not_before = rcgen::date_time_ymd(2023, 1, 1);
    ca_parameters.not_after = rcgen::date_time_ymd(2033, 1, 1);
    let ca = ca_parameters.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&ca_parameters, &ca_key);
    let leaf = |name: &str| {
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(2023, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2033, 1, 1);
        parameters.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap().der().to_vec()
    };
    let (pinned, other) = (leaf("pinned"), leaf("issued"));
    let info = Certificate::from_der(&pinned).unwrap().info().clone();
    for (device, thumbprint) in [("sha1", info.sha1_thumbprint), ("sha256", info.sha256_thumbprint.to_lowercase())] {
        bed.make(device, json!({"authentication": {"type": "selfSigned", "x509Thumbprint": {"secondaryThumbprint": thumbprint}}})).await;
        let verdict = async |chain| bed.dial(connect(device, None, true), chain).verdict().await;
        assert_eq!(verdict(vec![pinned.clone()]).await, ConnectCode::Accepted, "{device}");
        assert_eq!(verdict(vec![other.clone()]).await, ConnectCode::NotAuthorized, "{device}");
        assert_eq!(verdict(vec![]).await, ConnectCode::NotAuthorized, "{device}");
        assert_eq!(verdict(vec![b"not a certificate".to_vec()]).await, ConnectCode::NotAuthorized, "{device}");
    }
    for device in ["issued", "another"] {
        bed.make(device, json!({"authentication": {"type": "certificateAuthority"}})).await;
    }
    let verdict = async |device| bed.dial(connect(device, None, true), vec![other.clone()]).verdict().await;
    assert_eq!(verdict("issued").await, ConnectCode::NotAuthorized, "no CA is trusted yet");
    let uploaded = bed.owner("PUT", "/usher/certificates/plant", &[], ca.pem()).await;
    assert_eq!(uploaded.status(), 200);
    assert_eq!(bed.hub.authorities().iter().map(|Authority { name, .. }| name.as_str()).collect::<Vec<_>>(), ["plant"]);
    assert_eq!(verdict("issued").await, ConnectCode::Accepted);
    assert_eq!(verdict("another").await, ConnectCode::NotAuthorized, "the common name is another device's");
    bed.owner("DELETE", "/usher/certificates/plant", &[], "").await;
    assert_eq!(verdict("issued").await, ConnectCode::NotAuthorized);
}

#[tokio::test]
async fn a_stopping_server_lets_its_devices_go() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut device = bed.connect("d", true).await;
    bed.stop.send(true).unwrap();
    device.closed().await;
    assert!(bed.hubs.get(&hub_name()).is_some());
}

#[tokio::test]
async fn a_device_that_does_not_read_is_cut_off() {
    let bed = Bed::new().await;
    bed.make("d", json!({})).await;
    let mut device = bed.connect("d", true).await;
    device.subscribe(DESIRED, Qos::AtLeastOnce).await;
    let text = "x".repeat(4_000);
    for n in 0..400 {
        bed.hub.patch_twin(&id("d"), &json!({"properties": {"desired": {"n": n, "text": text}}}), &Condition::Any).await.unwrap();
        if n > 0 && bed.hub.connected() == 0 {
            break;
        }
    }
    assert_eq!(bed.hub.connected(), 0);
    let kept = bed.hub.device(&id("d")).await.unwrap().twin.desired().version();
    assert!(kept > 1, "the service's writes are kept");
}
