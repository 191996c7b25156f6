//! The MQTT decoder: no bytes make it panic, how they are cut makes no difference, and what decodes survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_mqtt::{DecodeError, Decoder, encode, packet::Packet};

/// The packets, then the error if there is one.
fn answer<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Packet>, Option<DecodeError>) {
    let (mut decoder, mut packets) = (Decoder::new(64 * 1024), Vec::new());
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.poll() {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}

fuzz_target!(|bytes: &[u8]| {
    let whole = answer(std::iter::once(bytes));
    let cut = bytes.first().map_or(1, |first| usize::from(*first % 7) + 1);
    assert_eq!(answer(bytes.chunks(cut)), whole);
    for packet in whole.0 {
        // Of another level only the level is read.
        if matches!(&packet, Packet::Connect(connect) if connect.level != 4) {
            continue;
        }
        let mut out = Default::default();
        encode(&packet, &mut out).expect("what came in a packet fits in one");
        assert_eq!(answer(std::iter::once(&out[..])), (vec![packet], None));
    }
});
