//! The MQTT server session: whatever a peer sends in whatever pieces, and whatever the driver answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_mqtt::{
    packet::{ConnectCode, Qos},
    server::{Event, Limits, Session},
};

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<u8>)| {
    let (pieces, answers) = input;
    let limits = Limits { packet_bytes: 4096, unsent_bytes: 4096, in_flight: 2, queued: 2, ..Limits::default() };
    let mut session = Session::new(limits, 0);
    let mut answers = answers.into_iter().cycle();
    for (now_ms, piece) in (0..).step_by(500).zip(pieces) {
        session.handle_bytes(&piece, now_ms);
        while let Some(event) = session.poll_event() {
            let answer = answers.next().unwrap_or_default();
            match event {
                Event::Connect(_) if answer % 8 == 0 => session.refuse(ConnectCode::NotAuthorized),
                Event::Connect(_) => session.accept(),
                Event::Publish(publish) => {
                    session.acknowledge(&publish);
                    let _ = session.publish("answer".into(), vec![answer; usize::from(answer)].into(), Qos::AtLeastOnce);
                }
                Event::Subscribe { packet_id, filters } => session.grant(packet_id, filters.iter().map(|(_, qos)| Some(*qos))),
                _ => {}
            }
        }
        session.handle_timeout(now_ms);
        if answers.next().unwrap_or_default() % 2 == 0 {
            session.poll_transmit();
        }
    }
});
