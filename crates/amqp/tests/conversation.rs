//! A client and a server talk in memory, as a device and a provisioning service would.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use support::{Wire, link};
use usher_amqp::{
    client::Sasl,
    codec::{
        message::{Message, Properties},
        performative::{AmqpError, DeliveryState, Role},
        types::{Map, Symbol, Value},
    },
    event::{Close, Delivery, Event, LinkId, SendError},
    limits::Limits,
    sasl::SaslCode,
};

/// Bare open, on both ends.
fn opened(wire: &mut Wire) {
    assert_eq!(wire.server_event(), Event::Open { container_id: "device".into(), hostname: Some("localhost".into()) });
    assert_eq!(wire.client_event(), Event::Open { container_id: "usher".into(), hostname: None });
}

/// The same link by the client's and the server's name for it.
fn attached(wire: &mut Wire, role: Role) -> (LinkId, LinkId) {
    let ours = wire.client.attach(link(role, &format!("{role:?}"))).unwrap();
    let Event::Attached(asked) = wire.server_event() else { panic!("the client asked for a link") };
    assert_eq!(asked.role, role);
    let address = if role == Role::Sender { &asked.target } else { &asked.source };
    assert_eq!(address.as_deref(), Some("0ne/registrations/r1"));
    assert_eq!(asked.properties.get_str("com.microsoft:api-version"), Some("2021-06-01"));
    wire.server.accept_attach(asked.link);
    let Event::Attached(agreed) = wire.client_event() else { panic!("the server agreed") };
    assert_eq!((agreed.link, agreed.role), (ours, role.peer()));
    (ours, asked.link)
}

struct Device {
    wire: Wire,
    sender: LinkId,
    receiver: LinkId,
    replies: LinkId,
    requests: LinkId,
}

fn device(mut wire: Wire) -> Device {
    opened(&mut wire);
    let (receiver, replies) = attached(&mut wire, Role::Receiver);
    let (sender, requests) = attached(&mut wire, Role::Sender);
    Device { wire, sender, receiver, replies, requests }
}

fn register(bytes: impl Into<Bytes>) -> Message {
    Message {
        properties: Properties { correlation_id: Some("an id".into()), ..Properties::default() },
        application_properties: Map::new().with("iotdps-operation-type", "iotdps-register").with("iotdps-forceRegistration", true),
        ..Message::data(bytes)
    }
}

fn received(event: Event) -> (Delivery, Message) {
    let Event::Message { delivery, message } = event else { panic!("{event:?} is no message") };
    (delivery, *message)
}

#[test]
fn a_device_registers_and_gets_its_answer_after_the_outcome() {
    for piece in [1, 7, usize::MAX] {
        let mut wire = Wire::new(Sasl::None);
        wire.piece = piece;
        let mut device = device(wire);
        let sent = device.wire.client.send(device.sender, &register("{}")).unwrap();
        let (delivery, message) = received(device.wire.server_event());
        assert_eq!(message, register("{}"));
        device.wire.server.accept(delivery);
        let properties = Properties { correlation_id: message.properties.correlation_id, ..Properties::default() };
        let application_properties = Map::new().with("retry-after", 3_i32);
        let answer = Message { properties, application_properties, ..Message::data("{\"status\":\"assigning\"}") };
        let answered = device.wire.server.send(device.replies, &answer).unwrap();
        assert_eq!(device.wire.client_event(), Event::Settled { delivery: sent, state: Some(DeliveryState::Accepted) });
        let (delivery, message) = received(device.wire.client_event());
        assert_eq!((delivery.link(), message), (device.receiver, answer));
        device.wire.client.accept(delivery);
        assert_eq!(device.wire.server_event(), Event::Settled { delivery: answered, state: Some(DeliveryState::Accepted) });
        device.wire.client.close();
        for link in [device.replies, device.requests] {
            assert_eq!(device.wire.server_event(), Event::Detached { link, error: None });
        }
        assert_eq!(device.wire.server_event(), Event::Closed(Close::ByPeer(None)));
        assert_eq!(device.wire.client_event(), Event::Closed(Close::ByDriver));
        device.wire.quiet();
        assert!(device.wire.server.is_closed());
    }
}

#[test]
fn plain_reaches_the_driver_whole_and_a_wrong_password_ends_it() {
    let mut wire = Wire::new(Sasl::plain("0ne/registrations/r1", "SharedAccessSignature x"));
    let Event::SaslInit { mechanism, initial_response, hostname } = wire.server_event() else { panic!("no SASL") };
    assert_eq!(mechanism, "PLAIN");
    assert_eq!(initial_response.0, "\0".to_owned() + "0ne/registrations/r1\0SharedAccessSignature x");
    assert_eq!(hostname.as_deref(), Some("0ne/registrations/r1"));
    wire.server.sasl_outcome(SaslCode::Ok);
    opened(&mut wire);

    let mut wire = Wire::new(Sasl::plain("u", "wrong"));
    assert!(matches!(wire.server_event(), Event::SaslInit { .. }));
    wire.server.sasl_outcome(SaslCode::Auth);
    assert_eq!(wire.server_event(), Event::Closed(Close::Sasl(SaslCode::Auth)));
    assert_eq!(wire.client_event(), Event::Closed(Close::Sasl(SaslCode::Auth)));
    wire.quiet();
}

fn tpm() -> Sasl {
    Sasl::Mechanism { name: "TPM".into(), initial_response: Bytes::from_static(b"\0ek").into() }
}

#[test]
fn a_mechanism_may_take_several_rounds() {
    let mut wire = Wire::new(tpm());
    assert!(matches!(wire.server_event(), Event::SaslInit { mechanism, .. } if mechanism == "TPM"));
    for (challenge, response) in [(&[0][..], &b"\0srk"[..]), (&[0x80, 1], &[0]), (&[0xc1, 2], b"\0token")] {
        wire.server.sasl_challenge(challenge.to_vec());
        assert_eq!(wire.client_event(), Event::SaslChallenge(challenge.to_vec().into()));
        wire.client.sasl_response(response.to_vec());
        assert_eq!(wire.server_event(), Event::SaslResponse(response.to_vec().into()));
    }
    wire.server.sasl_outcome(SaslCode::Ok);
    opened(&mut wire);
}

#[test]
fn rounds_of_sasl_are_bounded() {
    let limits = Limits { sasl_rounds: 2, ..Limits::default() };
    let mut wire = Wire::with(tpm(), limits, limits);
    wire.server_event();
    for _ in 0..2 {
        wire.server.sasl_challenge(vec![0]);
        wire.client_event();
        wire.client.sasl_response(vec![0]);
        wire.server_event();
    }
    wire.server.sasl_challenge(vec![0]);
    assert_eq!(wire.server_event(), Event::Closed(Close::TooMany("steps of SASL")));
}

#[test]
fn a_mechanism_that_is_not_offered_is_not_chosen() {
    let mut wire = Wire::new(Sasl::Mechanism { name: "ANONYMOUS".into(), initial_response: Bytes::new().into() });
    assert!(matches!(wire.client_event(), Event::Closed(Close::Unexpected(_))));
}

#[test]
fn large_messages_travel_in_frames_that_each_side_takes() {
    let small = Limits { frame_bytes: 512, ..Limits::default() };
    for (client_limits, server_limits) in [(small, Limits::default()), (Limits::default(), small), (small, small)] {
        let mut device = device(Wire::with(Sasl::None, client_limits, server_limits));
        let body: Vec<u8> = (0..100 * 1024_u32).map(|n| n.to_be_bytes()[3]).collect();
        device.wire.client.send(device.sender, &register(body.clone())).unwrap();
        let (delivery, message) = received(device.wire.server_event());
        assert_eq!(message, register(body.clone()));
        device.wire.server.accept(delivery);
        device.wire.server.send(device.replies, &Message::data(body.clone())).unwrap();
        device.wire.client_event();
        assert_eq!(received(device.wire.client_event()).1.data_bytes().unwrap(), body);
    }
}

#[test]
fn a_message_larger_than_the_peer_takes_is_not_sent() {
    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let mut device = device(Wire::with(Sasl::None, limits, limits));
    let large = Message::data(vec![0; 1000]);
    assert_eq!(device.wire.client.send(device.sender, &large), Err(SendError::TooLarge));
    assert_eq!(device.wire.server.send(device.replies, &large), Err(SendError::TooLarge));
    assert_eq!(device.wire.client.send(device.receiver, &large), Err(SendError::NotAttached), "the other direction");
}

#[test]
fn a_rejection_carries_its_text_and_its_map() {
    let mut device = device(Wire::new(Sasl::None));
    let sent = device.wire.client.send(device.sender, &register("{}")).unwrap();
    let (delivery, _) = received(device.wire.server_event());
    let info = Map::new().with(Symbol::from("retry-after"), 3_i32).with(Symbol::from("Retry-After"), 3_i32);
    let error = AmqpError { info, ..AmqpError::new("com.microsoft:device-container-throttled", "{\"errorCode\":429001}") };
    device.wire.server.reject(delivery, error.clone());
    device.wire.server.reject(delivery, error.clone());
    assert_eq!(device.wire.client_event(), Event::Settled { delivery: sent, state: Some(DeliveryState::Rejected(Some(error))) });
    device.wire.quiet();
}

#[test]
fn a_refused_link_is_never_agreed_to_and_frees_its_place() {
    let mut wire = Wire::new(Sasl::None);
    opened(&mut wire);
    for round in 0..20 {
        for role in [Role::Sender, Role::Receiver] {
            let ours = wire.client.attach(link(role, &format!("{round} {role:?}"))).unwrap();
            let Event::Attached(asked) = wire.server_event() else { panic!("the client asked for a link") };
            let error = AmqpError::new("amqp:unauthorized-access", "{\"errorCode\":401002}");
            wire.server.refuse_attach(asked.link, error.clone());
            assert_eq!(wire.client_event(), Event::Detached { link: ours, error: Some(error) });
            wire.quiet();
        }
    }
}

#[test]
fn messages_wait_for_credit_and_the_queue_is_bounded() {
    let limits = Limits { credit: 4, queued: 10, ..Limits::default() };
    let mut device = device(Wire::with(Sasl::None, limits, limits));
    let mut sent = Vec::new();
    loop {
        match device.wire.client.send(device.sender, &register(format!("{}", sent.len()))) {
            Ok(delivery) => sent.push(delivery),
            Err(error) => break assert_eq!(error, SendError::QueueFull),
        }
        device.wire.run();
    }
    assert_eq!(sent.len(), 4 + 10);
    // Each outcome makes room for others, in order.
    for (number, sent) in sent.into_iter().enumerate() {
        let (delivery, message) = received(device.wire.server_event());
        assert_eq!(message.data_bytes().unwrap(), number.to_string());
        device.wire.server.accept(delivery);
        assert!(matches!(device.wire.client_event(), Event::Settled { delivery, .. } if delivery == sent));
    }
    device.wire.quiet();
}

#[test]
fn bytes_that_wait_are_bounded_over_all_links() {
    let limits = Limits { unsent_bytes: 64 * 1024, credit: 1, ..Limits::default() };
    let mut device = device(Wire::with(Sasl::None, limits, limits));
    let message = Message::data(vec![0; 30 * 1024]);
    assert!(device.wire.server.send(device.replies, &message).is_ok());
    assert!(device.wire.server.send(device.replies, &message).is_ok());
    assert_eq!(device.wire.server.send(device.replies, &message), Err(SendError::QueueFull));
}

#[test]
fn a_detached_link_drops_what_waits_and_another_takes_its_place() {
    let mut device = device(Wire::new(Sasl::None));
    device.wire.client.detach(device.receiver);
    assert_eq!(device.wire.server_event(), Event::Detached { link: device.replies, error: None });
    assert_eq!(device.wire.server.send(device.replies, &Message::data("late")), Err(SendError::NotAttached));
    device.wire.quiet();
    let (receiver, replies) = attached(&mut device.wire, Role::Receiver);
    assert_ne!((receiver, replies), (device.receiver, device.replies));
    device.wire.server.send(replies, &Message::data("again")).unwrap();
    assert_eq!(received(device.wire.client_event()).1, Message::data("again"));
}

#[test]
fn the_server_closes_with_an_error_and_says_nothing_after() {
    let mut device = device(Wire::new(Sasl::None));
    let error = AmqpError::new("amqp:connection:forced", "the server is stopping");
    device.wire.server.close(Some(error.clone()));
    device.wire.server.close(None);
    // The session ends before the connection, and the connection alone says why.
    for link in [device.receiver, device.sender] {
        assert_eq!(device.wire.client_event(), Event::Detached { link, error: None });
    }
    assert_eq!(device.wire.client_event(), Event::Closed(Close::ByPeer(Some(error))));
    assert_eq!(device.wire.server_event(), Event::Closed(Close::ByDriver));
    assert_eq!(device.wire.server.send(device.replies, &Message::data("late")), Err(SendError::NotAttached));
    device.wire.quiet();
}

#[test]
fn another_format_is_taken_where_the_driver_said_so() {
    let mut device = device(Wire::new(Sasl::None));
    let batch = Message { format: 0x8001_3700, ..Message::data("parts") };
    let refused = device.wire.client.send(device.sender, &batch).unwrap();
    let Event::Settled { delivery, state: Some(DeliveryState::Rejected(Some(error))) } = device.wire.client_event() else { panic!() };
    assert_eq!((delivery, error.condition), (refused, "amqp:not-implemented".into()));
    device.wire.server.take_format(device.requests, batch.format);
    for message in [batch, Message::data("plain")] {
        device.wire.client.send(device.sender, &message).unwrap();
        let (delivery, came) = received(device.wire.server_event());
        assert_eq!(came, message);
        device.wire.server.accept(delivery);
        assert!(matches!(device.wire.client_event(), Event::Settled { state: Some(DeliveryState::Accepted), .. }));
    }
}

#[test]
fn correlation_ids_of_every_type_come_back_as_they_were() {
    let mut device = device(Wire::new(Sasl::None));
    let ids = [Value::Ulong(7), Value::Uuid([3; 16]), Bytes::from_static(&[1, 2]).into(), "text".into(), Value::Null];
    for id in ids {
        let properties = Properties { correlation_id: (id != Value::Null).then_some(id), ..Properties::default() };
        let message = Message { properties, ..Message::data("{}") };
        device.wire.client.send(device.sender, &message).unwrap();
        let (delivery, came) = received(device.wire.server_event());
        assert_eq!(came, message);
        device.wire.server.accept(delivery);
        device.wire.client_event();
    }
}
