//! The AMQP server session: whatever a peer sends in whatever pieces, and whatever the driver answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_amqp::{
    codec::{
        message::{Body, Message},
        performative::{AmqpError, Role},
    },
    event::Event,
    limits::Limits,
    sasl::SaslCode,
    server::{Options, Session},
};

/// What a peer may begin with; the rest of the input follows.
const OPENINGS: [&[u8]; 4] = [
    b"",
    b"AMQP\x00\x01\x00\x00",
    b"AMQP\x03\x01\x00\x00",
    // Header, open with a container ID, begin.
    b"AMQP\x00\x01\x00\x00\x00\x00\x00\x11\x02\x00\x00\x00\x00\x53\x10\xc0\x04\x01\xa1\x01c\x00\x00\x00\x15\x02\x00\x00\x00\x00\x53\x11\xc0\x08\x04\x40\x43\x52\x05\x52\x05",
];

fuzz_target!(|input: (u8, Vec<Vec<u8>>, Vec<u8>)| {
    let (opening, pieces, answers) = input;
    let limits = Limits { unsent_bytes: 16 * 1024, unread_bytes: 8 * 1024, message_bytes: 8 * 1024, queued: 2, ..Limits::default() };
    let mechanisms = ["PLAIN", "TPM"].map(Into::into).to_vec();
    let mut session = Session::new(Options { container_id: "fuzz".into(), mechanisms, limits }, 0);
    session.handle_bytes(OPENINGS[usize::from(opening) % OPENINGS.len()], 0);
    let (mut answers, mut link) = (answers.into_iter().cycle(), None);
    for (now_ms, piece) in (0..).step_by(700).zip(pieces) {
        session.handle_bytes(&piece, now_ms);
        while let Some(event) = session.poll_event() {
            let answer = answers.next().unwrap_or_default();
            match event {
                Event::SaslInit { .. } | Event::SaslResponse(_) if answer % 4 == 0 => session.sasl_challenge(vec![answer]),
                Event::SaslInit { .. } | Event::SaslResponse(_) => session.sasl_outcome(SaslCode::Ok),
                Event::Attached(attached) if answer % 8 == 0 => session.refuse_attach(attached.link, AmqpError::new("amqp:not-found", "no")),
                Event::Attached(attached) => {
                    session.accept_attach(attached.link);
                    if attached.role == Role::Receiver {
                        link = Some(attached.link);
                    }
                }
                Event::Message { delivery, .. } => {
                    session.accept(delivery);
                    if let Some(link) = link {
                        let body = Body::Data(vec![vec![answer; usize::from(answer)].into()]);
                        let _ = session.send(link, &Message { body, ..Message::default() });
                    }
                }
                _ => {}
            }
        }
        session.handle_timeout(now_ms);
        if answers.next().unwrap_or_default() % 2 == 0 {
            while session.poll_transmit().is_some() {}
        }
    }
});
