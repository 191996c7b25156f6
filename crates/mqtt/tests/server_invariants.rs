//! Random conversations with a random driver: whatever both do, what the server writes keeps to the protocol and to its bounds.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use usher_mqtt::{
    Decoder, encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos},
    server::{Event, Limits, PublishError, Session},
};

const LIMITS: Limits = Limits {
    packet_bytes: 2_000,
    connect_bytes: 500,
    connect_ms: 5_000,
    in_flight: 3,
    queued: 4,
    unsent_bytes: 1_500,
    events: 5,
    unacknowledged: 4,
};

/// What a run saw, so that the test can tell that it tested something.
#[derive(Debug, Default)]
struct Seen {
    accepted: usize,
    refused: usize,
    pubacks: usize,
    answers: usize,
    delivered: usize,
    full: usize,
    paused: usize,
    spoiled: usize,
}

/// A client, a server's session, its driver, and the judge of what is written.
struct World {
    session: Session,
    state: u64,
    now_ms: u64,
    /// The client's messages without an acknowledgement on the wire: serial numbers by packet ID.
    unanswered: BTreeMap<u16, String>,
    /// Serial numbers of those with one.
    acknowledged: BTreeSet<String>,
    last_serial: u32,
    /// Messages that the driver has been told and has not acknowledged.
    owed: Vec<Publish>,
    granted: Vec<u16>,
    /// Messages of the server that were written and not acknowledged by the client.
    in_flight: BTreeSet<u16>,
    verdict: Option<ConnectCode>,
    connack: Option<ConnectCode>,
    closed: bool,
    wire: Decoder,
    seen: Seen,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            session: Session::new(LIMITS, 0),
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            now_ms: 0,
            unanswered: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            last_serial: 0,
            owed: Vec::new(),
            granted: Vec::new(),
            in_flight: BTreeSet::new(),
            verdict: None,
            connack: None,
            closed: false,
            wire: Decoder::default(),
            seen: Seen::default(),
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 33) % below
    }

    fn run(mut self) -> Seen {
        if self.random(8) > 0 {
            self.client_says(&[Packet::Connect(Box::new(Connect {
                level: if self.state.is_multiple_of(16) { 5 } else { 4 },
                client_id: "d".into(),
                keep_alive_s: 1,
                ..Connect::default()
            }))]);
        }
        for _ in 0..60 {
            match self.random(10) {
                0..=3 => self.client_acts(),
                4..=5 => (0..4).for_each(|_| self.driver_polls()),
                6 => self.driver_acknowledges(),
                7 => self.driver_speaks_out_of_turn(),
                8 => self.writes(),
                _ => self.time_passes(),
            }
        }
        self.finish()
    }

    fn client_acts(&mut self) {
        let count = self.random(4);
        let packets: Vec<_> = (0..count).filter_map(|_| self.client_packet()).collect();
        self.client_says(&packets);
    }

    fn client_packet(&mut self) -> Option<Packet> {
        Some(match self.random(400) {
            0 => Packet::Disconnect,
            1 => Packet::Pingresp,
            2 => Packet::Connect(Box::default()),
            3 => self.message(Qos::ExactlyOnce),
            4..40 => Packet::Pingreq,
            40..80 => Packet::Subscribe { packet_id: 1, filters: vec![("a/#".into(), Qos::ExactlyOnce)] },
            80..110 => Packet::Unsubscribe { packet_id: 2, filters: vec!["a/#".into()] },
            110..160 => self.message(Qos::AtMostOnce),
            160..260 => self.message(Qos::AtLeastOnce),
            260..270 => Packet::Puback(999),
            _ => {
                let id = *self.in_flight.first()?;
                self.in_flight.remove(&id);
                Packet::Puback(id)
            }
        })
    }

    fn message(&mut self, qos: Qos) -> Packet {
        self.last_serial += 1;
        let topic = self.last_serial.to_string();
        // A client uses an ID again only once it is acknowledged (section 2.3.1).
        let free = (1..).find(|id| !self.unanswered.contains_key(id)).unwrap();
        let packet_id = if qos == Qos::AtMostOnce { 0 } else { free };
        if qos == Qos::AtLeastOnce {
            self.unanswered.insert(packet_id, topic.clone());
        }
        let payload = Bytes::from(vec![0; self.random(300) as usize]);
        Packet::Publish(Publish { dup: false, qos, retain: false, topic, packet_id, payload })
    }

    fn client_says(&mut self, packets: &[Packet]) {
        // A driver that reads on while the session does not want bytes is tested elsewhere; it loses the connection.
        if !self.session.wants_bytes() && !self.session.is_closed() {
            self.seen.paused += 1;
            self.forget(packets);
            return;
        }
        let mut bytes = BytesMut::new();
        packets.iter().for_each(|packet| encode(packet, &mut bytes).unwrap());
        if self.random(300) == 0 {
            bytes.extend_from_slice(&[0xFF, 0x00]);
            self.seen.spoiled += 1;
        }
        let cut = self.random(bytes.len() as u64 + 1) as usize;
        let rest = bytes.split_off(cut);
        self.session.handle_bytes(&bytes, self.now_ms);
        self.session.handle_bytes(&rest, self.now_ms);
    }

    /// Takes back what was not sent after all.
    fn forget(&mut self, packets: &[Packet]) {
        for packet in packets {
            match packet {
                Packet::Publish(publish) => drop(self.unanswered.remove(&publish.packet_id)),
                Packet::Puback(id) if *id != 999 => drop(self.in_flight.insert(*id)),
                _ => {}
            }
        }
    }

    fn driver_polls(&mut self) {
        let Some(event) = self.session.poll_event() else { return };
        assert!(!self.closed, "an event after the last one: {event:?}");
        match event {
            Event::Connect(_) => self.driver_judges(),
            Event::Publish(publish) if publish.qos == Qos::AtLeastOnce => self.owed.push(publish),
            Event::Publish(publish) => assert_eq!(publish.qos, Qos::AtMostOnce, "a message of level 2 was told"),
            Event::Subscribe { packet_id, filters } => {
                self.granted.push(packet_id);
                self.session.grant(packet_id, filters.iter().map(|(_, qos)| Some(*qos)));
            }
            Event::Delivered { .. } => self.seen.delivered += 1,
            Event::Unsubscribe { .. } => {}
            Event::Closed(_) => self.closed = true,
        }
    }

    fn driver_judges(&mut self) {
        assert_eq!(self.verdict, None, "two CONNECTs were told");
        let code = if self.random(8) == 0 { ConnectCode::NotAuthorized } else { ConnectCode::Accepted };
        self.verdict = Some(code);
        if code == ConnectCode::Accepted { self.session.accept() } else { self.session.refuse(code) }
    }

    fn driver_acknowledges(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let at = self.random(self.owed.len() as u64) as usize;
        let question = self.owed.remove(at);
        let topic = format!("answer/{}", question.topic);
        let payload = Bytes::from(vec![0; self.random(400) as usize]);
        let qos = if self.random(2) == 0 { Qos::AtMostOnce } else { Qos::AtLeastOnce };
        match self.session.answer(&question, topic, payload, qos) {
            Ok(_) => assert!(self.session.is_connected()),
            Err(PublishError::QueueFull) => self.seen.full += 1,
            Err(error) => assert_eq!((error, self.session.is_connected()), (PublishError::NotConnected, false)),
        }
    }

    fn driver_speaks_out_of_turn(&mut self) {
        let stranger =
            Publish { dup: false, qos: Qos::AtLeastOnce, retain: false, topic: "q".into(), packet_id: 60_000, payload: Bytes::new() };
        match self.random(4) {
            0 => self.session.acknowledge(&stranger),
            1 if self.verdict.is_some() => {
                self.session.accept();
                self.session.refuse(ConnectCode::Unavailable);
            }
            2 if self.random(30) == 0 => self.session.handle_lost(),
            _ => self.driver_pushes(),
        }
    }

    fn driver_pushes(&mut self) {
        for _ in 0..4 {
            match self.session.publish("push".into(), Bytes::from(vec![0; 150]), Qos::AtLeastOnce) {
                Ok(id) => assert!(id > 0 && self.session.is_connected()),
                Err(PublishError::QueueFull) => self.seen.full += 1,
                Err(error) => assert_eq!((error, self.session.is_connected()), (PublishError::NotConnected, false)),
            }
        }
    }

    fn time_passes(&mut self) {
        self.now_ms += self.random(500);
        if self.session.poll_timeout().is_some_and(|due_ms| due_ms <= self.now_ms) {
            self.session.handle_timeout(self.now_ms);
            assert!(self.session.is_closed(), "a time-out that was due changed nothing");
        }
    }

    /// Reads what the server writes, as a strict client does.
    fn writes(&mut self) {
        let Some(bytes) = self.session.poll_transmit() else { return };
        // One answer may go beyond the bound, and ends the session.
        assert!(bytes.len() <= LIMITS.unsent_bytes + 16, "{} bytes were held", bytes.len());
        self.wire.feed(&bytes);
        while let Some(packet) = self.wire.poll().expect("the server writes sound packets") {
            self.judge(packet);
        }
    }

    fn judge(&mut self, packet: Packet) {
        if let Packet::Connack { session_present, code } = packet {
            assert!(!session_present && self.connack.is_none(), "a second CONNACK, or one with a session");
            assert!(self.verdict == Some(code) || (self.verdict.is_none() && code == ConnectCode::BadProtocol));
            self.connack = Some(code);
            return;
        }
        assert_eq!(self.connack, Some(ConnectCode::Accepted), "before CONNACK or after a refusal: {packet:?}");
        match packet {
            Packet::Puback(id) => {
                let serial = self.unanswered.remove(&id).expect("an acknowledgement of nothing, or a second one");
                self.acknowledged.insert(serial);
                self.seen.pubacks += 1;
            }
            Packet::Publish(publish) => self.judge_message(&publish),
            Packet::Suback { packet_id, granted } => {
                assert_eq!(granted, [Some(Qos::AtLeastOnce)], "level 2 was granted");
                assert!(self.granted.contains(&packet_id));
            }
            Packet::Unsuback(2) | Packet::Pingresp => {}
            other => panic!("a server does not send {other:?}"),
        }
    }

    fn judge_message(&mut self, publish: &Publish) {
        if let Some(serial) = publish.topic.strip_prefix("answer/") {
            assert!(self.acknowledged.contains(serial), "the answer to question {serial} overtook its acknowledgement");
            self.seen.answers += 1;
        }
        if publish.qos == Qos::AtLeastOnce {
            assert!(self.in_flight.insert(publish.packet_id), "a packet ID in use was used again");
            assert!(self.in_flight.len() <= LIMITS.in_flight, "more in flight than the window");
        }
    }

    fn finish(mut self) -> Seen {
        self.session.handle_lost();
        while let Some(event) = self.session.poll_event() {
            assert!(!self.closed, "an event after the last one: {event:?}");
            self.closed = matches!(event, Event::Closed(_));
        }
        assert!(self.closed && self.session.is_closed(), "the end was not told");
        assert_eq!(self.session.poll_timeout(), None);
        self.writes();
        assert_eq!(self.session.poll_transmit(), None, "something is written after the end");
        self.seen.accepted = usize::from(self.connack == Some(ConnectCode::Accepted));
        self.seen.refused = usize::from(self.connack.is_some_and(|code| code != ConnectCode::Accepted));
        self.seen
    }
}

#[test]
fn whatever_client_and_driver_do_the_protocol_and_the_bounds_hold() {
    let mut sum = Seen::default();
    for seed in 1..=5_000 {
        let seen = World::new(seed).run();
        sum.accepted += seen.accepted;
        sum.refused += seen.refused;
        sum.pubacks += seen.pubacks;
        sum.answers += seen.answers;
        sum.delivered += seen.delivered;
        sum.full += seen.full;
        sum.paused += seen.paused;
        sum.spoiled += seen.spoiled;
    }
    // Each path was walked often enough for its rule to have been put to the test.
    let least = [sum.accepted, sum.refused, sum.pubacks, sum.answers, sum.delivered, sum.full, sum.paused, sum.spoiled];
    assert!(least.iter().all(|count| *count >= 100), "{sum:?}");
}
