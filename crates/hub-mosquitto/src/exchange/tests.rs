//! What a broker may say, in any order and in strange ways.

#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use serde_json::{Value, json};
use usher_hub::HubError;
use usher_mqtt::{
    Decoder, encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};
use usher_wire::Machine as _;

use super::{Exchange, Job, RESPONSE};

fn say(exchange: &mut Exchange, packet: &Packet) {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).unwrap();
    exchange.handle_bytes(&bytes, 0);
}

fn sent(exchange: &mut Exchange) -> Vec<Packet> {
    let mut decoder = Decoder::default();
    while let Some(bytes) = exchange.poll_transmit() {
        decoder.feed(&bytes);
    }
    std::iter::from_fn(|| decoder.poll().unwrap()).collect()
}

fn message(topic: &str, retain: bool, payload: String) -> Packet {
    Packet::Publish(Publish { dup: false, qos: Qos::AtMostOnce, retain, topic: topic.into(), packet_id: 0, payload: payload.into() })
}

fn answer(correlation: &str, member: Value) -> Packet {
    let mut response = json!({ "correlationData": correlation });
    response["data"] = member;
    message(RESPONSE, false, json!({ "responses": [response] }).to_string())
}

fn greeted() -> Exchange {
    let connect = Connect { client_id: "t".into(), clean_session: true, user_name: Some("usher".into()), ..Connect::default() };
    let mut exchange = Exchange::connect(connect, "t".into());
    say(&mut exchange, &Packet::Connack { session_present: false, code: ConnectCode::Accepted });
    assert!(!exchange.is_ready());
    say(&mut exchange, &Packet::Suback { packet_id: 1, granted: vec![Some(Qos::AtLeastOnce)] });
    assert!(exchange.is_ready());
    sent(&mut exchange);
    exchange
}

/// A job that retains (packet 2), reads (packet 3) and commands twice (packet 4).
fn busy() -> Exchange {
    let mut exchange = greeted();
    let commands = vec![json!({ "command": "a" }), json!({ "command": "b" })];
    exchange.begin(Job { retain: vec![("kept".into(), "1".into())], read: vec!["kept".into()], commands });
    let packets = sent(&mut exchange);
    assert!(matches!(&packets[..], [Packet::Publish(_), Packet::Subscribe { .. }, Packet::Publish(_)]), "{packets:?}");
    exchange
}

fn acknowledge(exchange: &mut Exchange) {
    say(exchange, &Packet::Puback(2));
    say(exchange, &Packet::Suback { packet_id: 3, granted: vec![Some(Qos::AtMostOnce)] });
    say(exchange, &Packet::Puback(4));
}

#[test]
fn a_job_ends_when_all_is_acknowledged_and_answered() {
    let mut exchange = busy();
    acknowledge(&mut exchange);
    say(&mut exchange, &message("kept", false, "news".into()));
    say(&mut exchange, &message("kept", true, "1".into()));
    say(&mut exchange, &message("other", true, "x".into()));
    say(&mut exchange, &answer("t.1.1", json!("second")));
    assert_eq!(exchange.poll_event(), None);
    say(&mut exchange, &answer("t.1.0", json!("first")));
    let (job, outcome) = exchange.poll_event().unwrap();
    let outcome = outcome.unwrap();
    assert_eq!((job, outcome.retained.len(), outcome.retained["kept"].as_ref()), (1, 1, b"1".as_slice()));
    assert_eq!(outcome.answers.iter().map(|answer| answer.data.as_str().unwrap()).collect::<Vec<_>>(), ["first", "second"]);
    assert!(matches!(&sent(&mut exchange)[..], [Packet::Unsubscribe { filters, .. }] if filters == &["kept"]));
}

#[test]
fn answers_to_others_and_strange_ones_end_nothing() {
    let mut exchange = busy();
    acknowledge(&mut exchange);
    for strange in ["u.1.0", "t.2.0", "t.1.2", "t.1", "1.0", "", "t.1.-1", "t.99999999999999999999.0"] {
        say(&mut exchange, &answer(strange, Value::Null));
    }
    for payload in ["", "{", r#"{"responses":7}"#, "\u{0}"] {
        say(&mut exchange, &message(RESPONSE, false, payload.into()));
    }
    assert!(exchange.poll_event().is_none() && exchange.fault().is_none());
    let why = exchange.give_up(1).to_string();
    assert!(why.contains("plugin"), "{why}");
}

#[test]
fn a_refused_subscription_ends_the_job_and_not_the_connection() {
    let mut exchange = busy();
    say(&mut exchange, &Packet::Suback { packet_id: 3, granted: vec![None] });
    let (job, outcome) = exchange.poll_event().unwrap();
    assert!(job == 1 && matches!(outcome, Err(HubError::Unauthorized(_))));
    say(&mut exchange, &Packet::Puback(2));
    say(&mut exchange, &Packet::Puback(4));
    say(&mut exchange, &answer("t.1.0", Value::Null));
    assert!(exchange.poll_event().is_none() && exchange.fault().is_none());
}

#[test]
fn what_mqtt_cannot_carry_is_rejected_and_the_connection_lives() {
    let mut exchange = greeted();
    exchange.begin(Job { retain: vec![("t".repeat(70_000), "1".into())], ..Job::default() });
    assert!(matches!(exchange.poll_event(), Some((1, Err(HubError::Rejected(_))))));
    assert!(exchange.fault().is_none());
}

#[test]
fn a_broker_at_fault_is_unavailable_and_one_that_refuses_says_whose_fault_it_is() {
    let mut exchange = greeted();
    say(&mut exchange, &Packet::Puback(77));
    assert!(matches!(exchange.fault(), Some(HubError::Unavailable(_))));
    let mut exchange = greeted();
    exchange.handle_bytes(&[0xF0, 0x00], 0);
    assert!(matches!(exchange.fault(), Some(HubError::Unavailable(_))));
    for (code, unauthorized) in [(ConnectCode::NotAuthorized, true), (ConnectCode::BadCredentials, true), (ConnectCode::Unavailable, false)]
    {
        let mut exchange = Exchange::connect(Connect { user_name: Some("usher".into()), ..Connect::default() }, "t".into());
        say(&mut exchange, &Packet::Connack { session_present: false, code });
        assert_eq!(matches!(exchange.fault(), Some(HubError::Unauthorized(_))), unauthorized, "{code:?}");
    }
}
