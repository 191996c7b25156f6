//! The client's session: what it hears, and what it does not put up with.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use usher_mqtt::{
    DecodeError, Decoder, EncodeError,
    client::{Event, Session},
    encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
};

fn bytes_of(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).unwrap();
    bytes
}

fn sent(session: &mut Session) -> Vec<Packet> {
    let mut decoder = Decoder::default();
    while let Some(bytes) = session.poll_transmit() {
        decoder.feed(&bytes);
    }
    std::iter::from_fn(|| decoder.poll().unwrap()).collect()
}

fn begun() -> Session {
    let mut session = Session::connect(Connect { client_id: "d".into(), clean_session: true, ..Connect::default() });
    assert!(matches!(&sent(&mut session)[..], [Packet::Connect(connect)] if connect.level == 4 && connect.client_id == "d"));
    session
}

fn connack(session_present: bool, code: ConnectCode) -> BytesMut {
    bytes_of(&Packet::Connack { session_present, code })
}

fn connected() -> Session {
    let mut session = begun();
    session.handle_bytes(&connack(false, ConnectCode::Accepted));
    assert_eq!(session.poll_event(), Some(Event::Connected(ConnectCode::Accepted)));
    session
}

fn message(qos: Qos, packet_id: u16) -> Packet {
    Packet::Publish(Publish { dup: false, qos, retain: false, topic: "t".into(), packet_id, payload: Bytes::new() })
}

/// What a connected client that has subscribed (ID 1) and published (ID 2) makes of a packet.
fn hears(packet: &Packet) -> Option<Event> {
    let mut session = connected();
    assert_eq!(session.subscribe(vec![("a".into(), Qos::AtLeastOnce)]), 1);
    assert_eq!(session.publish("b".into(), Bytes::new(), Qos::AtLeastOnce), 2);
    session.handle_bytes(&bytes_of(packet));
    session.poll_event()
}

#[test]
fn answers_are_told_by_the_id_of_their_request() {
    let granted = vec![Some(Qos::AtLeastOnce)];
    assert_eq!(hears(&Packet::Suback { packet_id: 1, granted: granted.clone() }), Some(Event::Subscribed { packet_id: 1, granted }));
    assert_eq!(hears(&Packet::Puback(2)), Some(Event::Published { packet_id: 2 }));
    assert_eq!(hears(&Packet::Pingresp), None);
}

#[test]
fn a_message_can_be_kept_and_a_subscription_ended() {
    let mut session = connected();
    assert_eq!(session.retain("kept".into(), Bytes::from_static(b"1")), 1);
    assert_eq!(session.unsubscribe(vec!["a".into()]), 2);
    let (kept, ended) = match &sent(&mut session)[..] {
        [Packet::Publish(kept), Packet::Unsubscribe { packet_id: 2, filters }] => (kept.clone(), filters.clone()),
        other => panic!("{other:?}"),
    };
    assert!(kept.retain && kept.qos == Qos::AtLeastOnce && kept.packet_id == 1, "{kept:?}");
    assert_eq!(ended, ["a"]);
    session.handle_bytes(&bytes_of(&Packet::Puback(1)));
    session.handle_bytes(&bytes_of(&Packet::Unsuback(2)));
    assert_eq!(session.poll_event(), Some(Event::Published { packet_id: 1 }));
    assert_eq!(session.poll_event(), Some(Event::Unsubscribed { packet_id: 2 }));
    session.handle_bytes(&bytes_of(&Packet::Unsuback(2)));
    assert_eq!(session.poll_event(), Some(Event::Unexpected), "nothing was asked");
}

#[test]
fn what_a_server_may_not_send_is_the_end() {
    let strays = [
        Packet::Puback(1),
        Packet::Puback(77),
        Packet::Suback { packet_id: 2, granted: vec![None] },
        Packet::Suback { packet_id: 1, granted: vec![None, None] },
        Packet::Connack { session_present: false, code: ConnectCode::Accepted },
        Packet::Pingreq,
        Packet::Pubrec(1),
        message(Qos::ExactlyOnce, 1),
    ];
    for stray in strays {
        assert_eq!(hears(&stray), Some(Event::Unexpected), "{stray:?}");
    }
}

#[test]
fn nothing_comes_before_connack() {
    let mut session = begun();
    session.handle_bytes(&bytes_of(&message(Qos::AtMostOnce, 0)));
    assert_eq!(session.poll_event(), Some(Event::Unexpected));
    session.handle_bytes(&connack(false, ConnectCode::Accepted));
    assert_eq!(session.poll_event(), None, "after the end");
}

#[test]
fn a_request_may_go_out_before_connack_but_no_answer_may_come_before_it() {
    let mut session = begun();
    let packet_id = session.publish("t".into(), Bytes::new(), Qos::AtLeastOnce);
    session.handle_bytes(&bytes_of(&Packet::Puback(packet_id)));
    assert_eq!(session.poll_event(), Some(Event::Unexpected));
}

#[test]
fn a_refusal_is_the_end() {
    let mut session = begun();
    session.handle_bytes(&connack(false, ConnectCode::NotAuthorized));
    assert_eq!(session.poll_event(), Some(Event::Connected(ConnectCode::NotAuthorized)));
    assert!(session.is_closed());
    assert_eq!(session.publish("t".into(), Bytes::new(), Qos::AtLeastOnce), 0);
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn a_clean_session_has_nothing_present() {
    let mut session = begun();
    session.handle_bytes(&connack(true, ConnectCode::Accepted));
    assert_eq!(session.poll_event(), Some(Event::Unexpected));
}

#[test]
fn messages_of_level_1_are_acknowledged_and_of_level_0_not() {
    let mut session = connected();
    session.handle_bytes(&bytes_of(&message(Qos::AtLeastOnce, 7)));
    session.handle_bytes(&bytes_of(&message(Qos::AtMostOnce, 0)));
    let told = [session.poll_event(), session.poll_event()];
    assert!(matches!(told, [Some(Event::Message(one)), Some(Event::Message(two))] if one.packet_id == 7 && two.packet_id == 0));
    assert_eq!(sent(&mut session), [Packet::Puback(7)]);
}

#[test]
fn a_broken_packet_is_the_end() {
    let mut session = connected();
    session.handle_bytes(&[0xC1, 0]);
    session.handle_bytes(&bytes_of(&message(Qos::AtMostOnce, 0)));
    assert_eq!(session.poll_event(), Some(Event::Malformed(DecodeError::ReservedFlags)));
    assert_eq!(session.poll_event(), None);
}

#[test]
fn a_goodbye_is_the_last_word() {
    let mut session = connected();
    session.ping();
    session.disconnect();
    session.ping();
    assert_eq!(sent(&mut session), [Packet::Pingreq, Packet::Disconnect]);
    assert!(session.is_closed());
}

#[test]
fn level_2_is_never_asked_for() {
    let mut session = connected();
    session.subscribe(vec![("a".into(), Qos::ExactlyOnce)]);
    session.publish("b".into(), Bytes::new(), Qos::ExactlyOnce);
    let asked = sent(&mut session);
    assert!(matches!(&asked[..], [Packet::Subscribe { filters, .. }, Packet::Publish(publish)]
        if filters == &[("a".to_owned(), Qos::AtLeastOnce)] && publish.qos == Qos::AtLeastOnce));
}

#[test]
fn what_cannot_be_sent_is_told_and_takes_no_id() {
    let mut session = connected();
    assert_eq!(session.publish("x".repeat(65_536), Bytes::new(), Qos::AtLeastOnce), 0);
    assert_eq!(session.poll_event(), Some(Event::Unsendable(EncodeError::FieldTooLong)));
    assert_eq!(session.poll_transmit(), None);
    for _ in 0..32_767 {
        assert!(session.publish("t".into(), Bytes::new(), Qos::AtLeastOnce) > 0);
    }
    assert_eq!(session.publish("t".into(), Bytes::new(), Qos::AtLeastOnce), 0, "requests without an answer are bounded");
    assert_eq!(session.poll_event(), Some(Event::TooManyRequests));
}

#[test]
fn a_server_that_floods_is_given_up_and_nothing_polled_is_lost() {
    let mut session = connected();
    let one = bytes_of(&message(Qos::AtMostOnce, 0));
    let many: Vec<u8> = one.iter().copied().cycle().take(one.len() * 1_000).collect();
    session.handle_bytes(&many);
    let told = std::iter::from_fn(|| session.poll_event()).count();
    assert_eq!(told, 1_000, "held back while the queue was full, then told");
    for _ in 0..200 {
        session.handle_bytes(&many);
    }
    assert_eq!(std::iter::from_fn(|| session.poll_event()).last(), Some(Event::Malformed(DecodeError::Backlog)));
}
