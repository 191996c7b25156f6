//! Peers that lie, flood, fall silent or garble: the server says why it ends the connection, holds no more than it may, never panics.

#![allow(clippy::unwrap_used)]

mod support;

use bytes::BytesMut;
use support::{RawPeer, Wire, attach, begin, client, credit, link, open, server, transfer};
use usher_amqp::{
    client::Sasl,
    codec::{
        DecodeError,
        frame::{FrameKind, ProtocolHeader, encode_frame},
        message::Message,
        performative::{Begin, DeliveryState, Detach, Disposition, End, Flow, Open, Performative, Role, Transfer},
    },
    event::{Close, Event, LinkId, SendError},
    limits::Limits,
    sasl::{SaslCode, SaslFrame},
};

fn message(text: &'static str) -> Vec<u8> {
    Message::data(text).encode().to_vec()
}

#[test]
fn another_protocol_is_answered_with_the_header_that_would_do() {
    for header in [b"GET / HT", b"AMQP\x02\x01\x00\x00", b"AMQP\x00\x00\x09\x01"] {
        let mut server = server(Limits::default());
        server.handle_bytes(header, 0);
        assert_eq!(server.poll_event(), Some(Event::Closed(Close::Protocol)));
        assert_eq!(server.poll_transmit().unwrap(), &ProtocolHeader::Sasl.bytes()[..]);
    }
}

#[test]
fn a_frame_that_lies_about_its_size_ends_the_connection() {
    let lies: [([u8; 8], DecodeError); 4] = [
        ([0, 1, 0, 1, 2, 0, 0, 0], DecodeError::TooLarge),
        ([0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0], DecodeError::TooLarge),
        ([0, 0, 0, 7, 2, 0, 0, 0], DecodeError::FrameHeader),
        ([0, 0, 0, 8, 9, 0, 0, 0], DecodeError::FrameHeader),
    ];
    for (header, error) in lies {
        let mut peer = RawPeer::begun(Limits::default());
        peer.bytes(&header);
        assert_eq!(peer.closed(), Some(Close::Malformed(error)));
        let Some(Performative::Close(close)) = peer.heard().pop() else { panic!("the peer is told") };
        assert_eq!(close.error.unwrap().condition, "amqp:connection:framing-error");
    }
}

#[test]
fn sasl_frames_are_bounded_and_in_order() {
    let mut server = server(Limits::default());
    server.handle_bytes(ProtocolHeader::Sasl.bytes(), 0);
    server.handle_bytes(&[0, 0, 0x10, 1, 2, 1, 0, 0], 0);
    assert_eq!(server.poll_event(), Some(Event::Closed(Close::Malformed(DecodeError::TooLarge))));

    let mut server = support::server(Limits::default());
    server.handle_bytes(ProtocolHeader::Sasl.bytes(), 0);
    let mut out = BytesMut::new();
    encode_frame(FrameKind::Sasl, 0, &[&SaslFrame::Response(vec![0].into()).encode()], &mut out);
    server.handle_bytes(&out, 0);
    assert!(matches!(server.poll_event(), Some(Event::Closed(Close::Unexpected(_)))));
}

#[test]
fn a_mechanism_the_server_did_not_offer_is_refused_without_asking_the_driver() {
    let mut server = server(Limits::default());
    server.handle_bytes(ProtocolHeader::Sasl.bytes(), 0);
    let init = SaslFrame::Init { mechanism: "ANONYMOUS".into(), initial_response: vec![].into(), hostname: None };
    let mut out = BytesMut::new();
    encode_frame(FrameKind::Sasl, 0, &[&init.encode()], &mut out);
    server.handle_bytes(&out, 0);
    assert_eq!(server.poll_event(), Some(Event::Closed(Close::Sasl(SaslCode::Auth))));
}

#[test]
fn bytes_before_a_verdict_are_bounded() {
    let mut wire = Wire::new(Sasl::plain("u", "p"));
    assert!(matches!(wire.server_event(), Event::SaslInit { .. }));
    let flood = vec![0; 16 * 1024];
    for _ in 0..9 {
        wire.server.handle_bytes(&flood, 0);
        assert_eq!(wire.server.poll_event(), None);
    }
    wire.server.handle_bytes(&flood, 0);
    assert!(matches!(wire.server.poll_event(), Some(Event::Closed(Close::TooMany(_)))));
    wire.server.sasl_outcome(SaslCode::Ok);
    assert_eq!(wire.server.poll_event(), None);
}

#[test]
fn frames_wait_until_the_driver_has_polled_its_events() {
    let mut peer = RawPeer::begun(Limits::default());
    let mut body = BytesMut::new();
    let mut out = BytesMut::new();
    for performative in
        [Performative::Attach(Box::new(attach(Role::Sender, 0))), Performative::Detach(Detach { handle: 0, closed: true, error: None })]
    {
        performative.encode(&mut body);
        encode_frame(FrameKind::Amqp, 0, &[&body.split()], &mut out);
    }
    // Each piece holds more events than may wait; all of them come in the end.
    let piece = out.repeat(500);
    peer.bytes(&piece);
    let events = std::iter::from_fn(|| peer.server.poll_event()).count();
    assert_eq!(events, 1000);
    // A driver that never polls is not fed for ever.
    let fed = (0..100).take_while(|_| {
        peer.bytes(&piece);
        !peer.server.is_closed()
    });
    assert!(fed.count() < 10);
    assert!(matches!(peer.closed(), Some(Close::TooMany(_))));
}

#[test]
fn frames_out_of_place_end_the_connection() {
    let misplaced: [(&str, u16, Performative); 9] = [
        ("a second open", 0, Performative::Open(open())),
        ("a second begin", 0, Performative::Begin(begin())),
        ("an answer nobody asked for", 1, Performative::Begin(Begin { remote_channel: Some(3), ..begin() })),
        ("another channel", 1, Performative::Attach(Box::new(attach(Role::Sender, 0)))),
        ("a handle without a link", 0, Performative::Detach(Detach { handle: 9, closed: true, error: None })),
        ("a flow for nothing", 0, Performative::Flow(credit(0, 1))),
        ("a transfer for nothing", 0, transfer(0, false)),
        ("an end on another channel", 2, Performative::End(End { error: None })),
        ("a channel beyond the highest", 4, Performative::Begin(begin())),
    ];
    for (what, channel, performative) in misplaced {
        let mut peer = RawPeer::begun(Limits::default());
        peer.say(channel, &performative);
        assert!(matches!(peer.closed(), Some(Close::Unexpected(_) | Close::TooMany(_))), "{what}");
    }
    let mut peer = RawPeer::bare(Limits::default());
    peer.say(0, &Performative::Begin(begin()));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))), "before open");
    let mut peer = RawPeer::bare(Limits::default());
    peer.say(0, &Performative::Open(Open { max_frame_size: 511, ..open() }));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))), "frames below 512");
}

#[test]
fn sessions_and_links_are_bounded() {
    let mut peer = RawPeer::begun(Limits::default());
    for channel in 1..4 {
        peer.say(channel, &Performative::Begin(begin()));
    }
    assert_eq!(peer.closed(), None);
    for handle in 0..8_u32 {
        let channel = u16::try_from(handle % 4).unwrap();
        peer.say(channel, &Performative::Attach(Box::new(attach(Role::Receiver, handle))));
        assert!(matches!(peer.server.poll_event(), Some(Event::Attached(_))));
    }
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Receiver, 100))));
    assert_eq!(peer.closed(), Some(Close::TooMany("links")));
}

#[test]
fn a_handle_in_use_is_not_given_again() {
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Receiver, 0))));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))));
}

#[test]
fn an_ended_session_takes_its_links_along_and_can_begin_again() {
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    for _ in 0..10 {
        peer.say(0, &Performative::End(End { error: None }));
        assert!(matches!(peer.server.poll_event(), Some(Event::Detached { error: None, .. })));
        assert_eq!(peer.heard(), [Performative::End(End { error: None })]);
        peer.say(0, &Performative::Begin(begin()));
        peer.say(0, &Performative::Attach(Box::new(attach(Role::Sender, 0))));
        let Some(Event::Attached(attached)) = peer.server.poll_event() else { panic!("no link") };
        peer.server.accept_attach(attached.link);
        assert_eq!(peer.heard().len(), 3, "begin, attach and credit");
    }
}

#[test]
fn a_message_beyond_the_limit_is_cut_off_while_it_arrives() {
    let limits = Limits { message_bytes: 10_000, ..Limits::default() };
    let mut peer = RawPeer::attached(limits, Role::Sender);
    peer.say_with(0, &transfer(0, true), &[0; 6000]);
    assert_eq!(peer.closed(), None);
    peer.say_with(0, &transfer(0, true), &[0; 6000]);
    assert_eq!(peer.closed(), Some(Close::MessageTooLarge));
}

#[test]
fn credit_is_kept_to() {
    let limits = Limits { credit: 2, ..Limits::default() };
    let mut peer = RawPeer::attached(limits, Role::Sender);
    for id in 0..2 {
        peer.say_with(0, &transfer(id, false), &message("x"));
        assert!(matches!(peer.server.poll_event(), Some(Event::Message { .. })));
    }
    peer.say_with(0, &transfer(2, false), &message("x"));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))));
}

#[test]
fn deliveries_that_lie_end_the_connection() {
    let continued = Performative::Transfer(Transfer { handle: 0, delivery_id: Some(1), ..Transfer::default() });
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    peer.say_with(0, &transfer(0, true), b"x");
    peer.say_with(0, &continued, b"x");
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))), "another delivery inside");

    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    peer.say_with(0, &transfer(0, false), &message("x"));
    peer.say_with(0, &transfer(0, false), &message("x"));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))), "an id twice");

    let mut peer = RawPeer::attached(Limits::default(), Role::Receiver);
    peer.say_with(0, &transfer(0, false), &message("x"));
    assert!(matches!(peer.closed(), Some(Close::Unexpected(_))), "against the direction");

    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    peer.say_with(0, &transfer(0, false), b"no message");
    assert!(matches!(peer.closed(), Some(Close::Malformed(_))), "no message at all");
}

#[test]
fn an_aborted_delivery_is_forgotten_and_another_follows() {
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    for id in 0..100 {
        peer.say_with(0, &transfer(id, true), b"half");
        peer.say(0, &Performative::Transfer(Transfer { handle: 0, aborted: true, ..Transfer::default() }));
    }
    peer.say_with(0, &transfer(100, false), &message("whole"));
    assert!(matches!(peer.server.poll_event(), Some(Event::Message { message, .. }) if *message == Message::data("whole")));
}

#[test]
fn an_unknown_message_format_is_rejected_and_the_link_goes_on() {
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    let batch = Transfer { handle: 0, delivery_id: Some(0), message_format: Some(0x8001_3700), ..Transfer::default() };
    peer.say_with(0, &Performative::Transfer(batch), &message("x"));
    let [Performative::Disposition(disposition)] = &peer.heard()[..] else { panic!("no outcome") };
    assert!(matches!(&disposition.state, Some(DeliveryState::Rejected(Some(error))) if error.condition == "amqp:not-implemented"));
    peer.say_with(0, &transfer(1, false), &message("x"));
    assert!(matches!(peer.server.poll_event(), Some(Event::Message { .. })));
}

#[test]
fn settled_messages_get_no_outcome_and_unsettled_ones_one() {
    let mut peer = RawPeer::attached(Limits::default(), Role::Sender);
    for (id, settled, answers) in [(0, Some(true), 0), (1, Some(false), 1), (2, None, 1)] {
        let sent = Transfer { handle: 0, delivery_id: Some(id), settled, ..Transfer::default() };
        peer.say_with(0, &Performative::Transfer(sent), &message("x"));
        let Some(Event::Message { delivery, .. }) = peer.server.poll_event() else { panic!("no message") };
        peer.server.accept(delivery);
        assert_eq!(peer.heard().len(), answers, "{settled:?}");
    }
}

/// A peer that receives, with what the server knows the link as.
fn receiving(limits: Limits) -> (RawPeer, LinkId) {
    let mut peer = RawPeer::begun(limits);
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Receiver, 0))));
    let Some(Event::Attached(attached)) = peer.server.poll_event() else { panic!("no link") };
    peer.server.accept_attach(attached.link);
    peer.heard();
    (peer, attached.link)
}

fn transfers(heard: &[Performative]) -> usize {
    heard.iter().filter(|performative| matches!(performative, Performative::Transfer(_))).count()
}

#[test]
fn nothing_is_sent_beyond_credit_or_window() {
    let (mut peer, link) = receiving(Limits::default());
    for _ in 0..5 {
        peer.server.send(link, &Message::data("x")).unwrap();
    }
    assert_eq!(transfers(&peer.heard()), 0);
    peer.say(0, &Performative::Flow(credit(0, 2)));
    assert_eq!(transfers(&peer.heard()), 2);
    // The same word again is no new credit.
    peer.say(0, &Performative::Flow(credit(0, 2)));
    assert_eq!(transfers(&peer.heard()), 0);
    // Credit, but a window that is used up.
    peer.say(0, &Performative::Flow(Flow { incoming_window: 2, ..credit(2, 10) }));
    assert_eq!(transfers(&peer.heard()), 0);
    peer.say(0, &Performative::Flow(Flow { next_incoming_id: Some(2), incoming_window: 1, ..credit(2, 10) }));
    assert_eq!(transfers(&peer.heard()), 1);
}

#[test]
fn drain_uses_the_credit_or_gives_it_back() {
    let (mut peer, link) = receiving(Limits::default());
    peer.server.send(link, &Message::data("x")).unwrap();
    peer.say(0, &Performative::Flow(Flow { drain: true, ..credit(0, 10) }));
    let heard = peer.heard();
    let [Performative::Transfer(_), Performative::Flow(flow)] = &heard[..] else { panic!("{heard:?}") };
    assert_eq!((flow.delivery_count, flow.link_credit, flow.drain), (Some(10), Some(0), true));
}

#[test]
fn echo_is_answered_for_sessions_and_links() {
    let (mut peer, _) = receiving(Limits::default());
    peer.say(0, &Performative::Flow(Flow { echo: true, handle: None, ..credit(0, 0) }));
    assert!(matches!(peer.heard()[..], [Performative::Flow(Flow { handle: None, .. })]));
    peer.say(0, &Performative::Flow(Flow { echo: true, ..credit(0, 7) }));
    assert!(matches!(peer.heard()[..], [Performative::Flow(Flow { handle: Some(0), link_credit: Some(7), .. })]));
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let limits = Limits { unsent_bytes: 10_000, ..Limits::default() };
    let (mut peer, _) = receiving(limits);
    for _ in 0..1000 {
        peer.say(0, &Performative::Flow(Flow { echo: true, ..credit(0, 0) }));
    }
    assert_eq!(peer.closed(), Some(Close::SlowReader));
    assert!(peer.frames().len() < 1000);
}

#[test]
fn what_is_sent_and_never_settled_is_bounded() {
    let limits = Limits { in_flight: 3, queued: 2, ..Limits::default() };
    let (mut peer, link) = receiving(limits);
    peer.say(0, &Performative::Flow(credit(0, 100)));
    let mut sent = 0;
    while peer.server.send(link, &Message::data("x")).is_ok() {
        sent += 1;
        peer.frames();
    }
    assert_eq!(sent, 5);
    assert_eq!(peer.server.send(link, &Message::data("x")), Err(SendError::QueueFull));
    // One word settles all that are named, and only what was sent.
    let all = Disposition { role: Role::Receiver, first: 0, last: Some(u32::MAX), settled: true, state: Some(DeliveryState::Accepted) };
    peer.say(0, &Performative::Disposition(all));
    let settled = std::iter::from_fn(|| peer.server.poll_event()).count();
    assert_eq!(settled, 3);
}

#[test]
fn a_receiver_that_settles_second_is_told() {
    let (mut peer, link) = receiving(Limits::default());
    peer.say(0, &Performative::Flow(credit(0, 1)));
    let delivery = peer.server.send(link, &Message::data("x")).unwrap();
    peer.heard();
    let accepted = Disposition { role: Role::Receiver, first: 0, last: None, settled: false, state: Some(DeliveryState::Accepted) };
    peer.say(0, &Performative::Disposition(accepted));
    assert_eq!(peer.server.poll_event(), Some(Event::Settled { delivery, state: Some(DeliveryState::Accepted) }));
    assert!(matches!(peer.heard()[..], [Performative::Disposition(Disposition { role: Role::Sender, settled: true, .. })]));
}

#[test]
fn an_explanation_that_does_not_fit_the_peers_frame_is_left_out() {
    let mut peer = RawPeer::bare(Limits::default());
    peer.say(0, &Performative::Open(Open { max_frame_size: 512, ..open() }));
    peer.say(0, &Performative::Begin(begin()));
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Sender, 0))));
    let Some(Event::Attached(attached)) = std::iter::from_fn(|| peer.server.poll_event()).last() else { panic!("no link") };
    peer.server.accept_attach(attached.link);
    peer.say_with(0, &transfer(0, false), &message("x"));
    let Some(Event::Message { delivery, .. }) = peer.server.poll_event() else { panic!("no message") };
    peer.server.reject(delivery, usher_amqp::codec::performative::AmqpError::new("amqp:not-found", "x".repeat(600)));
    let Some(Performative::Disposition(disposition)) = peer.heard().pop() else { panic!("no outcome") };
    let Some(DeliveryState::Rejected(Some(error))) = disposition.state else { panic!("not rejected") };
    assert_eq!((error.condition.as_str(), error.description), ("amqp:not-found", None));
}

#[test]
fn what_arrives_on_a_link_after_its_refusal_is_dropped() {
    let mut peer = RawPeer::begun(Limits::default());
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Sender, 0))));
    let Some(Event::Attached(attached)) = peer.server.poll_event() else { panic!("no link") };
    peer.server.refuse_attach(attached.link, usher_amqp::codec::performative::AmqpError::new("amqp:not-found", "gone"));
    let heard = peer.heard();
    let [Performative::Attach(answer), Performative::Detach(_)] = &heard[..] else { panic!("{heard:?}") };
    assert!(answer.target.is_none());
    peer.say_with(0, &transfer(0, false), &message("x"));
    peer.say(0, &Performative::Detach(Detach { handle: 0, closed: true, error: None }));
    assert_eq!(peer.server.poll_event(), None);
    assert!(peer.heard().is_empty());
}

#[test]
fn a_peer_that_gives_up_before_the_answer_gets_both_answers() {
    let mut peer = RawPeer::begun(Limits::default());
    peer.say(0, &Performative::Attach(Box::new(attach(Role::Sender, 0))));
    peer.say(0, &Performative::Detach(Detach { handle: 0, closed: true, error: None }));
    let (Some(Event::Attached(attached)), Some(Event::Detached { link, .. })) = (peer.server.poll_event(), peer.server.poll_event()) else {
        panic!("attached and detached")
    };
    assert_eq!(attached.link, link);
    assert!(matches!(peer.heard()[..], [Performative::Attach(_), Performative::Detach(_)]));
    peer.server.accept_attach(link);
    assert!(peer.heard().is_empty());
}

#[test]
fn silence_ends_a_connection_at_each_stage() {
    let mut server = server(Limits::default());
    assert_eq!(server.poll_timeout(), Some(20_000));
    server.handle_timeout(19_999);
    assert_eq!(server.poll_event(), None);
    server.handle_timeout(20_000);
    assert_eq!(server.poll_event(), Some(Event::Closed(Close::OpenTimeout)));
    assert_eq!(server.poll_timeout(), None);

    // The device's proof may take its time, but not for ever, however often it says something.
    let mut server = support::server(Limits::default());
    server.handle_bytes(ProtocolHeader::Sasl.bytes(), 19_000);
    assert_eq!(server.poll_timeout(), Some(120_000));
    server.handle_timeout(120_000);
    assert_eq!(server.poll_event(), Some(Event::Closed(Close::OpenTimeout)));

    let mut peer = RawPeer::begun(Limits::default());
    assert_eq!(peer.server.poll_timeout(), Some(240_000));
    peer.server.handle_bytes(&[0, 0, 0, 8, 2, 0, 0, 0], 200_000);
    assert_eq!(peer.server.poll_timeout(), Some(440_000));
    peer.server.handle_timeout(440_000);
    assert_eq!(peer.closed(), Some(Close::Idle));
    assert!(matches!(peer.heard()[..], [Performative::End(_), Performative::Close(_)]));
}

#[test]
fn signs_of_life_go_out_at_half_the_peers_idle_time_out() {
    for (idle_time_out_ms, interval) in [(60_000, 30_000), (1, 250)] {
        let mut peer = RawPeer::bare(Limits::default());
        peer.say(0, &Performative::Open(Open { idle_time_out_ms: Some(idle_time_out_ms), ..open() }));
        peer.frames();
        assert_eq!(peer.server.poll_timeout(), Some(interval));
        peer.server.handle_timeout(interval);
        assert!(matches!(&peer.frames()[..], [frame] if frame.body.is_empty()));
        assert_eq!(peer.server.poll_timeout(), Some(2 * interval));
    }
}

/// xorshift64*, so that a failure can be had again by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// What a device sends in a whole conversation.
fn recorded() -> Vec<u8> {
    let mut wire = Wire::new(Sasl::plain("0ne/registrations/r1", "token"));
    let mut links = Vec::new();
    for _ in 0..20 {
        wire.run();
        while let Some(event) = wire.server.poll_event() {
            answer(&mut wire.server, event);
        }
        while let Some(event) = wire.client.poll_event() {
            match event {
                Event::Open { .. } => {
                    let receiver = wire.client.attach(link(Role::Receiver, "in")).unwrap();
                    links = vec![wire.client.attach(link(Role::Sender, "out")).unwrap(), receiver];
                }
                Event::Attached(attached) if Some(&attached.link) == links.first() => {
                    wire.client.send(attached.link, &Message::data(vec![b'x'; 300])).unwrap();
                    wire.client.send(attached.link, &Message::data("{}")).unwrap();
                }
                Event::Message { delivery, .. } => wire.client.accept(delivery),
                _ => {}
            }
        }
    }
    links.into_iter().for_each(|link| wire.client.detach(link));
    wire.run();
    wire.client.close();
    wire.run();
    assert!(wire.server.is_closed());
    wire.to_server
}

/// A driver that agrees to everything and answers every message.
fn answer(server: &mut usher_amqp::server::Session, event: Event) {
    match event {
        Event::SaslInit { .. } => server.sasl_outcome(SaslCode::Ok),
        Event::Attached(attached) => {
            server.accept_attach(attached.link);
            if attached.role == Role::Receiver {
                let _ = server.send(attached.link, &Message::data("{}"));
            }
        }
        Event::Message { delivery, .. } => server.accept(delivery),
        _ => {}
    }
}

#[test]
fn garbled_conversations_never_panic_and_end_at_most_once() {
    let original = recorded();
    assert!(original.len() > 700, "a whole conversation with messages, not {} bytes", original.len());
    let mut ended_early = 0;
    for seed in 1..=3000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes = original.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = [0, 1, 0x40, 0x45, 0x7f, 0x80, 0xd0, 0xf0, 0xff][random.below(9)],
                2 => drop(bytes.drain(at..(at + random.below(20)).min(bytes.len()))),
                _ => {
                    let piece = bytes[at..(at + random.below(200)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        let mut server = server(Limits::default());
        let piece = 1 + random.below(300);
        let mut ends = 0;
        for piece in bytes.chunks(piece) {
            server.handle_bytes(piece, 0);
            while let Some(event) = server.poll_event() {
                ends += usize::from(matches!(event, Event::Closed(_)));
                answer(&mut server, event);
            }
            while server.poll_transmit().is_some() {}
        }
        assert!(ends <= 1, "seed {seed}");
        assert_eq!(ends == 1, server.is_closed(), "seed {seed}");
        ended_early += ends;
    }
    assert!(ended_early > 1000, "{ended_early} of 3000 were noticed");
}

#[test]
fn a_client_withstands_a_garbling_server_too() {
    let mut wire = Wire::new(Sasl::None);
    wire.run();
    let mut server = server(Limits::default());
    server.handle_bytes(&wire.to_server, 0);
    let original: Vec<u8> = std::iter::from_fn(|| server.poll_transmit()).flatten().collect();
    for seed in 1..=2000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut bytes = original.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        let mut client = client(Sasl::None, Limits::default());
        client.handle_bytes(&bytes, 0);
        while client.poll_transmit().is_some() {}
        let ends = std::iter::from_fn(|| client.poll_event()).filter(|event| matches!(event, Event::Closed(_))).count();
        assert_eq!(ends == 1, client.is_closed(), "seed {seed}");
    }
}
