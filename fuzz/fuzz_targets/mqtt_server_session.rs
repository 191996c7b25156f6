//! The MQTT server session: whatever a peer sends in whatever pieces, and whatever the driver answers, what is written keeps to the
//! protocol and to its bounds.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use usher_mqtt::{
    Decoder,
    packet::{ConnectCode, Packet, Publish, Qos},
    server::{Event, Limits, Session},
};

const LIMITS: Limits = Limits {
    packet_bytes: 4096,
    connect_bytes: 1024,
    connect_ms: 20_000,
    in_flight: 2,
    queued: 2,
    unsent_bytes: 4096,
    events: 4,
    unacknowledged: 4,
};

/// A sound CONNECT, with a keep-alive of 2 s: it stands before most inputs, since few would come to one by chance.
const HELLO: &[u8] = b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x02\x00\x01d";

/// Reads what the server writes, as a strict client does.
#[derive(Default)]
struct Judge {
    wire: Decoder,
    accepted: bool,
    told: BTreeSet<u16>,
}

impl Judge {
    fn reads(&mut self, session: &mut Session) {
        let Some(bytes) = session.poll_transmit() else { return };
        // One answer may go beyond the bound, and ends the session.
        assert!(bytes.len() <= LIMITS.unsent_bytes + 64, "{} bytes were held", bytes.len());
        self.wire.feed(&bytes);
        while let Some(packet) = self.wire.poll().expect("the server writes sound packets") {
            match packet {
                Packet::Connack { session_present, code } => {
                    assert!(!self.accepted && !session_present);
                    self.accepted = code == ConnectCode::Accepted;
                }
                packet if !self.accepted => panic!("before CONNACK or after a refusal: {packet:?}"),
                Packet::Puback(id) => assert!(self.told.contains(&id), "an acknowledgement of nothing"),
                Packet::Publish(_) | Packet::Suback { .. } | Packet::Unsuback(_) | Packet::Pingresp => {}
                other => panic!("a server does not send {other:?}"),
            }
        }
    }
}

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>)| {
    let (pieces, answers) = input;
    let (mut session, mut judge, mut owed, mut closed) = (Session::new(LIMITS, 0), Judge::default(), Vec::<Publish>::new(), false);
    let mut answers = answers.into_iter().cycle();
    let mut next = || answers.next().unwrap_or_default();
    if next() % 4 > 0 {
        session.handle_bytes(HELLO, 0);
    }
    for (now_ms, piece) in (0..).step_by(500).zip(pieces) {
        session.handle_bytes(&piece, now_ms);
        // Sometimes the driver leaves events for later.
        for _ in 0..next() % 8 {
            let Some(event) = session.poll_event() else { break };
            assert!(!closed, "an event after the last one: {event:?}");
            match event {
                Event::Connect(_) if next() % 8 == 0 => session.refuse(ConnectCode::NotAuthorized),
                Event::Connect(_) => session.accept(),
                Event::Publish(publish) => {
                    assert_ne!(publish.qos, Qos::ExactlyOnce);
                    judge.told.insert(publish.packet_id);
                    owed.push(publish);
                }
                Event::Subscribe { packet_id, filters } => session.grant(packet_id, filters.iter().map(|(_, qos)| Some(*qos))),
                Event::Closed(_) => closed = true,
                Event::Unsubscribe { .. } | Event::Delivered { .. } => {}
            }
        }
        if next() % 4 > 0 {
            let size = usize::from(next()) * 8;
            for question in owed.drain(..) {
                let _ = session.answer(&question, "answer".into(), vec![0; size].into(), Qos::AtLeastOnce);
            }
        }
        session.handle_timeout(now_ms);
        if next() % 2 == 0 {
            judge.reads(&mut session);
        }
    }
    judge.reads(&mut session);
});
