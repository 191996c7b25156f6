//! The server's session: each rule of a conversation, told as one.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use usher_mqtt::{
    DecodeError, Decoder, client, encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos, Will},
    server::{Close, Event, Limits, PublishError, Session},
};

fn bytes_of(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).unwrap();
    bytes
}

fn hello(keep_alive_s: u16) -> Packet {
    Packet::Connect(Box::new(Connect { level: 4, client_id: "d".into(), keep_alive_s, ..Connect::default() }))
}

fn message(qos: Qos, packet_id: u16) -> Publish {
    Publish { dup: false, qos, retain: false, topic: "t".into(), packet_id, payload: Bytes::from_static(b"x") }
}

/// A session whose client was accepted, with the answer read.
fn connected(limits: Limits, keep_alive_s: u16) -> Session {
    let mut session = Session::new(limits, 0);
    session.handle_bytes(&bytes_of(&hello(keep_alive_s)), 0);
    assert!(matches!(session.poll_event(), Some(Event::Connect(_))));
    session.accept();
    assert_eq!(sent(&mut session), [Packet::Connack { session_present: false, code: ConnectCode::Accepted }]);
    session
}

fn sent(session: &mut Session) -> Vec<Packet> {
    let mut decoder = Decoder::default();
    while let Some(bytes) = session.poll_transmit() {
        decoder.feed(&bytes);
    }
    std::iter::from_fn(|| decoder.poll().unwrap()).collect()
}

fn closes_after(packet: &Packet) -> Close {
    let mut session = connected(Limits::default(), 0);
    session.handle_bytes(&bytes_of(packet), 1);
    match session.poll_event() {
        Some(Event::Closed(why)) => why,
        other => panic!("expected a close, got {other:?}"),
    }
}

#[test]
fn the_first_packet_must_be_connect_and_come_in_time() {
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&Packet::Pingreq), 1);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::ConnectExpected)));
    let mut session = Session::new(Limits { connect_ms: 100, ..Limits::default() }, 50);
    assert_eq!(session.poll_timeout(), Some(150));
    session.handle_timeout(149);
    assert_eq!(session.poll_event(), None);
    session.handle_timeout(150);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::ConnectTimeout)));
}

#[test]
fn packets_sent_right_behind_connect_wait_for_the_verdict() {
    let mut session = Session::new(Limits::default(), 0);
    let mut bytes = bytes_of(&hello(0));
    bytes.extend_from_slice(&bytes_of(&Packet::Publish(message(Qos::AtMostOnce, 0))));
    session.handle_bytes(&bytes, 0);
    assert!(matches!(session.poll_event(), Some(Event::Connect(_))));
    assert_eq!(session.poll_event(), None, "a message of a client not yet accepted");
    session.accept();
    assert!(matches!(session.poll_event(), Some(Event::Publish(_))));
}

#[test]
fn a_refused_client_hears_why_and_nothing_it_sent_counts() {
    let mut session = Session::new(Limits::default(), 0);
    let mut bytes = bytes_of(&hello(0));
    bytes.extend_from_slice(&bytes_of(&Packet::Publish(message(Qos::AtMostOnce, 0))));
    session.handle_bytes(&bytes, 0);
    session.poll_event();
    session.refuse(ConnectCode::NotAuthorized);
    assert_eq!(sent(&mut session), [Packet::Connack { session_present: false, code: ConnectCode::NotAuthorized }]);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::Refused(ConnectCode::NotAuthorized))));
    assert!(session.is_closed());
}

#[test]
fn another_protocol_level_is_answered_with_its_code() {
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00", 0);
    assert_eq!(sent(&mut session), [Packet::Connack { session_present: false, code: ConnectCode::BadProtocol }]);
}

#[test]
fn what_a_client_may_not_send_closes_the_connection() {
    assert_eq!(closes_after(&hello(0)), Close::SecondConnect);
    assert_eq!(closes_after(&Packet::Unsuback(1)), Close::Unexpected);
    assert_eq!(closes_after(&Packet::Publish(message(Qos::ExactlyOnce, 1))), Close::ExactlyOnce);
    assert_eq!(closes_after(&Packet::Disconnect), Close::Disconnected);
}

#[test]
fn silence_longer_than_one_and_a_half_keep_alives_is_loss_and_zero_turns_it_off() {
    let mut session = connected(Limits::default(), 10);
    assert_eq!(session.poll_timeout(), Some(15_000));
    session.handle_bytes(&bytes_of(&Packet::Pingreq), 9_000);
    assert_eq!(sent(&mut session), [Packet::Pingresp]);
    session.handle_timeout(23_999);
    assert!(session.is_connected());
    session.handle_timeout(24_000);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::KeepAlive)));
    assert_eq!(connected(Limits::default(), 0).poll_timeout(), None);
}

#[test]
fn an_acknowledgement_goes_out_before_the_answer() {
    let mut session = connected(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&Packet::Publish(message(Qos::AtLeastOnce, 9))), 1);
    let Some(Event::Publish(asked)) = session.poll_event() else { panic!("a message") };
    session.acknowledge(&asked);
    session.publish("answer".into(), Bytes::from_static(b"a"), Qos::AtLeastOnce).unwrap();
    let packets = sent(&mut session);
    assert_eq!(packets[0], Packet::Puback(9));
    assert!(matches!(&packets[1], Packet::Publish(publish) if publish.topic == "answer" && publish.packet_id == 1));
}

#[test]
fn messages_wait_for_the_window_in_order_and_are_bounded() {
    let limits = Limits { in_flight: 2, queued: 3, ..Limits::default() };
    let mut session = connected(limits, 0);
    let mut publish = |n: u8| session.publish(format!("t{n}"), Bytes::new(), Qos::AtLeastOnce);
    let ids: Vec<u16> = (0..5).map(|n| publish(n).unwrap()).collect();
    assert_eq!(publish(5), Err(PublishError::QueueFull));
    assert_eq!(sent(&mut session).len(), 2, "the window is two");
    session.handle_bytes(&bytes_of(&Packet::Puback(ids[0])), 1);
    assert_eq!(session.poll_event(), Some(Event::Delivered { packet_id: ids[0] }));
    let next = sent(&mut session);
    assert!(matches!(&next[..], [Packet::Publish(publish)] if publish.packet_id == ids[2]));
    session.handle_bytes(&bytes_of(&Packet::Puback(999)), 1);
    assert_eq!(session.poll_event(), None, "an acknowledgement of nothing");
}

#[test]
fn level_two_is_granted_as_one() {
    let mut session = connected(Limits::default(), 0);
    let filters = vec![("a".into(), Qos::ExactlyOnce), ("b".into(), Qos::AtMostOnce)];
    session.handle_bytes(&bytes_of(&Packet::Subscribe { packet_id: 3, filters }), 1);
    let Some(Event::Subscribe { packet_id, filters }) = session.poll_event() else { panic!("a subscription") };
    session.grant(packet_id, [Some(filters[0].1), None]);
    assert_eq!(sent(&mut session), [Packet::Suback { packet_id: 3, granted: vec![Some(Qos::AtLeastOnce), None] }]);
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let limits = Limits { unsent_bytes: 64, ..Limits::default() };
    let mut session = connected(limits, 0);
    for _ in 0..100 {
        session.handle_bytes(&bytes_of(&Packet::Pingreq), 1);
    }
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::SlowReader)));
    assert!(session.poll_transmit().unwrap().len() < 128);
}

#[test]
fn a_client_without_a_name_must_ask_for_a_clean_session() {
    let anonymous = |clean_session| Packet::Connect(Box::new(Connect { level: 4, clean_session, ..Connect::default() }));
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&anonymous(false)), 0);
    assert_eq!(sent(&mut session), [Packet::Connack { session_present: false, code: ConnectCode::BadClientId }]);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::Refused(ConnectCode::BadClientId))));
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&anonymous(true)), 0);
    assert!(matches!(session.poll_event(), Some(Event::Connect(_))));
}

#[test]
fn a_will_is_told_and_a_loss_is_told_apart_from_a_goodbye() {
    let will = Will { topic: "w".into(), payload: Bytes::from_static(b"gone"), qos: Qos::AtMostOnce, retain: false };
    let hello = Connect { level: 4, client_id: "d".into(), will: Some(will.clone()), ..Connect::default() };
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&Packet::Connect(Box::new(hello))), 0);
    let Some(Event::Connect(connect)) = session.poll_event() else { panic!("a client") };
    assert_eq!(connect.will, Some(will));
    session.accept();
    session.handle_lost();
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::Lost)));
    assert!(!Close::Lost.is_clean() && !Close::KeepAlive.is_clean() && Close::Disconnected.is_clean());
}

#[test]
fn nothing_is_written_before_connack_and_after_the_end() {
    let mut session = Session::new(Limits::default(), 0);
    let question = message(Qos::AtLeastOnce, 1);
    let speak = |session: &mut Session| {
        session.grant(1, [None]);
        session.acknowledge(&question);
        assert_eq!(session.publish("t".into(), Bytes::new(), Qos::AtMostOnce), Err(PublishError::NotConnected));
        assert_eq!(session.poll_transmit(), None);
    };
    speak(&mut session);
    session.accept();
    speak(&mut session);
    session.handle_bytes(&bytes_of(&hello(0)), 0);
    speak(&mut session);
    session.accept();
    session.accept();
    session.refuse(ConnectCode::Unavailable);
    assert_eq!(sent(&mut session), [Packet::Connack { session_present: false, code: ConnectCode::Accepted }]);
    session.close();
    speak(&mut session);
}

#[test]
fn a_message_is_acknowledged_once_and_an_answer_never_overtakes_it() {
    let mut session = connected(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&Packet::Publish(message(Qos::AtLeastOnce, 9))), 1);
    let Some(Event::Publish(question)) = session.poll_event() else { panic!("a message") };
    assert_eq!(session.poll_transmit(), None, "an acknowledgement that the driver has not given");
    session.answer(&question, "a".into(), Bytes::new(), Qos::AtLeastOnce).unwrap();
    session.answer(&question, "b".into(), Bytes::new(), Qos::AtLeastOnce).unwrap();
    session.acknowledge(&question);
    let packets = sent(&mut session);
    assert!(matches!(&packets[..], [Packet::Puback(9), Packet::Publish(a), Packet::Publish(b)] if a.topic == "a" && b.topic == "b"));
}

#[test]
fn bytes_that_complete_no_packet_keep_nobody_alive() {
    let mut session = connected(Limits::default(), 10);
    for (byte, now_ms) in [0x30, 100, 0, 1, b't'].into_iter().zip([3_000, 6_000, 9_000, 12_000, 14_999]) {
        session.handle_bytes(&[byte], now_ms);
    }
    session.handle_timeout(15_000);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::KeepAlive)));
}

#[test]
fn events_that_nobody_polls_hold_packets_back_without_loss() {
    let mut session = connected(Limits { events: 3, ..Limits::default() }, 10);
    let messages: Vec<_> = (0..10).map(|n| Publish { topic: format!("t{n}"), ..message(Qos::AtMostOnce, 0) }).collect();
    let mut bytes = BytesMut::new();
    messages.iter().for_each(|message| encode(&Packet::Publish(message.clone()), &mut bytes).unwrap());
    session.handle_bytes(&bytes, 0);
    assert!(!session.wants_bytes());
    session.handle_bytes(&bytes_of(&Packet::Disconnect), 0);
    assert!(!session.is_closed(), "a goodbye behind messages that are not told yet");
    assert_eq!(session.poll_timeout(), None, "the client may have spoken: its keep-alive rests");
    let told: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    let expected = messages.into_iter().map(Event::Publish).chain([Event::Closed(Close::Disconnected)]);
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[test]
fn messages_that_are_not_acknowledged_hold_packets_back() {
    let mut session = connected(Limits { unacknowledged: 2, ..Limits::default() }, 0);
    let mut bytes = BytesMut::new();
    (1..=3).for_each(|id| encode(&Packet::Publish(message(Qos::AtLeastOnce, id)), &mut bytes).unwrap());
    session.handle_bytes(&bytes, 0);
    let [Some(Event::Publish(first)), Some(Event::Publish(_))] = [session.poll_event(), session.poll_event()] else { panic!("two") };
    assert_eq!(session.poll_event(), None, "a third message while two are owed");
    session.acknowledge(&first);
    assert!(matches!(session.poll_event(), Some(Event::Publish(third)) if third.packet_id == 3));
}

#[test]
fn a_peer_that_floods_before_the_verdict_is_given_up() {
    let mut session = Session::new(Limits::default(), 0);
    session.handle_bytes(&bytes_of(&hello(0)), 0);
    assert!(matches!(session.poll_event(), Some(Event::Connect(_))));
    (0..100).for_each(|_| session.handle_bytes(&[0; 8_192], 0));
    session.accept();
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::Malformed(DecodeError::Backlog))));
}

#[test]
fn before_connect_a_peer_can_have_little_kept_for_it() {
    let mut session = Session::new(Limits::default(), 0);
    // CONNECT of 128 KiB.
    session.handle_bytes(&[0x10, 0x80, 0x80, 0x08], 0);
    assert_eq!(session.poll_event(), Some(Event::Closed(Close::Malformed(DecodeError::TooLarge))));
    let mut session = connected(Limits::default(), 0);
    session.handle_bytes(&[0x30, 0x80, 0x80, 0x08], 0);
    assert!(session.is_connected(), "a message of 128 KiB is fine");
}

#[test]
fn what_waits_for_the_window_is_bounded_in_bytes() {
    let mut session = connected(Limits { in_flight: 1, unsent_bytes: 10_000, ..Limits::default() }, 0);
    let publish = |session: &mut Session| session.publish("t".into(), Bytes::from(vec![0; 3_000]), Qos::AtLeastOnce);
    publish(&mut session).unwrap();
    assert_eq!(sent(&mut session).len(), 1);
    (0..3).for_each(|_| assert!(publish(&mut session).is_ok()));
    assert_eq!(publish(&mut session), Err(PublishError::QueueFull));
    session.handle_bytes(&bytes_of(&Packet::Puback(1)), 0);
    assert_eq!(sent(&mut session).len(), 1);
    assert!(publish(&mut session).is_ok(), "there is room again");
}

#[test]
fn messages_beyond_the_room_for_bytes_are_written_in_order_as_the_client_reads() {
    let mut session = connected(Limits { in_flight: 2, unsent_bytes: 1_000, ..Limits::default() }, 0);
    let publish = |session: &mut Session, n: usize| session.publish(format!("t{n}"), Bytes::from(vec![0; 280]), Qos::AtLeastOnce);
    let read = |session: &mut Session| {
        let bytes = session.poll_transmit().unwrap_or_default();
        assert!(bytes.len() <= 1_000, "{} bytes were held", bytes.len());
        let mut decoder = Decoder::default();
        decoder.feed(&bytes);
        let topic = |packet| if let Packet::Publish(publish) = packet { publish.topic } else { format!("{packet:?}") };
        std::iter::from_fn(|| decoder.poll().unwrap()).map(topic).collect::<Vec<_>>()
    };
    (0..2).for_each(|n| assert_eq!(publish(&mut session, n), Ok(n as u16 + 1)));
    assert_eq!(read(&mut session), ["t0", "t1"]);
    (2..4).for_each(|n| assert_eq!(publish(&mut session, n), Ok(n as u16 + 1)));
    // Answers that the client does not read take the room of the messages that wait.
    (0..300).for_each(|_| session.handle_bytes(&bytes_of(&Packet::Pingreq), 0));
    [1, 2].iter().for_each(|id| session.handle_bytes(&bytes_of(&Packet::Puback(*id)), 0));
    assert_eq!(publish(&mut session, 4), Err(PublishError::QueueFull));
    assert!(session.is_connected());
    assert!(read(&mut session).iter().filter(|topic| *topic != "Pingresp").eq(["t2"]), "one has room beside the answers");
    assert_eq!(read(&mut session), ["t3"], "written as soon as there is room");
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn a_message_never_overtakes_one_that_waits_for_room() {
    let mut session = connected(Limits { in_flight: 1, unsent_bytes: 1_000, ..Limits::default() }, 0);
    let publish = |session: &mut Session, topic: &str, bytes| session.publish(topic.into(), Bytes::from(vec![0; bytes]), Qos::AtLeastOnce);
    publish(&mut session, "first", 10).unwrap();
    sent(&mut session);
    publish(&mut session, "large", 500).unwrap();
    (0..300).for_each(|_| session.handle_bytes(&bytes_of(&Packet::Pingreq), 0));
    session.handle_bytes(&bytes_of(&Packet::Puback(1)), 0);
    // The window is open, but the large one has no room beside the answers yet.
    assert_eq!(publish(&mut session, "small", 1), Err(PublishError::QueueFull));
    let mut topics = sent(&mut session);
    topics.retain(|packet| *packet != Packet::Pingresp);
    assert!(matches!(&topics[..], [Packet::Publish(large)] if large.topic == "large"));
}

#[test]
fn what_is_owed_or_waits_at_the_end_is_not_sent_after_it() {
    let mut session = connected(Limits { in_flight: 1, unsent_bytes: 1_000, ..Limits::default() }, 0);
    session.handle_bytes(&bytes_of(&Packet::Publish(message(Qos::AtLeastOnce, 9))), 0);
    let Some(Event::Publish(owed)) = session.poll_event() else { panic!("a message") };
    for bytes in [10, 600] {
        session.publish("t".into(), Bytes::from(vec![0; bytes]), Qos::AtLeastOnce).unwrap();
        session.poll_transmit();
    }
    // The window opens for the second message, but there is no room for it beside the answers when the client leaves.
    (0..300).for_each(|_| session.handle_bytes(&bytes_of(&Packet::Pingreq), 0));
    session.handle_bytes(&bytes_of(&Packet::Puback(1)), 0);
    session.handle_bytes(&bytes_of(&Packet::Disconnect), 0);
    session.acknowledge(&owed);
    let written = sent(&mut session);
    assert!(written.len() == 300 && written.iter().all(|packet| *packet == Packet::Pingresp), "{written:?}");
}

#[test]
fn topics_that_cannot_be_published_to_are_refused_whole() {
    let mut session = connected(Limits::default(), 0);
    for topic in [String::new(), "a/#".into(), "a\0".into(), "x".repeat(65_536)] {
        assert_eq!(session.publish(topic, Bytes::new(), Qos::AtMostOnce), Err(PublishError::Topic));
    }
    assert_eq!(session.poll_transmit(), None);
}

#[test]
fn packet_ids_wrap_around_those_in_use_and_are_never_0() {
    let mut session = connected(Limits { in_flight: 2, ..Limits::default() }, 0);
    let publish = |session: &mut Session| session.publish("t".into(), Bytes::new(), Qos::AtLeastOnce).unwrap();
    assert_eq!(publish(&mut session), 1);
    for expected in (2..=u16::MAX).chain(2..10) {
        assert_eq!(publish(&mut session), expected, "1 is never acknowledged");
        session.handle_bytes(&bytes_of(&Packet::Puback(expected)), 0);
        assert!(matches!(session.poll_event(), Some(Event::Delivered { .. })));
        session.poll_transmit();
    }
}

#[test]
fn client_and_server_understand_each_other() {
    let mut server = Session::new(Limits::default(), 0);
    let mut client = client::Session::connect(Connect { client_id: "d".into(), ..Connect::default() });
    let exchange = |client: &mut client::Session, server: &mut Session| {
        while let Some(bytes) = client.poll_transmit() {
            server.handle_bytes(&bytes, 0);
        }
    };
    exchange(&mut client, &mut server);
    server.poll_event();
    server.accept();
    client.handle_bytes(&server.poll_transmit().unwrap());
    assert_eq!(client.poll_event(), Some(client::Event::Connected(ConnectCode::Accepted)));
    let id = client.publish("up".into(), Bytes::from_static(b"1"), Qos::AtLeastOnce);
    exchange(&mut client, &mut server);
    let Some(Event::Publish(publish)) = server.poll_event() else { panic!("a message") };
    server.acknowledge(&publish);
    server.publish("down".into(), Bytes::from_static(b"2"), Qos::AtLeastOnce).unwrap();
    client.handle_bytes(&server.poll_transmit().unwrap());
    assert_eq!(client.poll_event(), Some(client::Event::Published { packet_id: id }));
    assert!(matches!(client.poll_event(), Some(client::Event::Message(publish)) if publish.topic == "down"));
    exchange(&mut client, &mut server);
    assert_eq!(server.poll_event(), Some(Event::Delivered { packet_id: 1 }));
}
