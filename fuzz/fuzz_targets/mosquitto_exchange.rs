//! What a broker says to usher: as answers of the dynamic-security plugin, and as MQTT on a connection with a job under way.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use usher_domain::DeviceId;
use usher_hub_mosquitto::{
    answer::{self, Judgement},
    exchange::{Exchange, Job, RESPONSE},
    names::Names,
    plan, twin,
};
use usher_mqtt::{
    encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};
use usher_wire::Machine;

/// How long what is said of a broker's words may be, in bytes.
const WORDS_MAX: usize = 2_000;

fn say(exchange: &mut Exchange, packet: &Packet) {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).expect("a packet");
    exchange.handle_bytes(&bytes, 0);
}

/// A connection that has greeted, with a job: one message to retain, one topic to read, two commands.
fn busy() -> Exchange {
    let connect = Connect { client_id: "t".into(), clean_session: true, user_name: Some("usher".into()), ..Connect::default() };
    let mut exchange = Exchange::connect(connect, "t".into());
    say(&mut exchange, &Packet::Connack { session_present: false, code: ConnectCode::Accepted });
    say(&mut exchange, &Packet::Suback { packet_id: 1, granted: vec![Some(Qos::AtLeastOnce)] });
    let commands = vec![json!({ "command": "a" }), json!({ "command": "b" })];
    exchange.begin(Job { retain: vec![("kept".into(), "1".into())], read: vec!["kept".into()], commands });
    exchange
}

fn drain(exchange: &mut Exchange) {
    let mut outcomes = 0;
    while let Some((_, outcome)) = exchange.poll_event() {
        outcomes += 1;
        if let Ok(outcome) = outcome {
            assert_eq!(outcome.answers.len(), 2, "every command is answered");
        }
    }
    assert!(outcomes <= 1, "one job, one outcome");
    while exchange.poll_transmit().is_some() {}
}

fuzz_target!(|bytes: &[u8]| {
    let names = Names::of(&DeviceId::parse("d").expect("an ID")).expect("names");
    for (_, _, answer) in answer::read(bytes) {
        let _ = (plan::client(&names, &answer), plan::role(&names, &answer));
        if let Judgement::Failed(error) = answer.judge() {
            let words = error.to_string();
            assert!(words.len() < WORDS_MAX && !words.contains(char::is_control), "{words:?}");
        }
    }
    let payload = bytes::Bytes::copy_from_slice(bytes);
    let _ = twin::read(&payload, Some(&payload));

    let mut answered = busy();
    let message = Publish { dup: false, qos: Qos::AtMostOnce, retain: false, topic: RESPONSE.into(), packet_id: 0, payload };
    for packet_id in 2..5 {
        say(&mut answered, &Packet::Puback(packet_id));
    }
    say(&mut answered, &Packet::Publish(message));
    drain(&mut answered);

    let mut strange = busy();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    strange.handle_bytes(first, 0);
    strange.handle_bytes(second, 0);
    drain(&mut strange);
});
