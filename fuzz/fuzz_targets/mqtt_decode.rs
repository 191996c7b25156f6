//! The MQTT decoder: no bytes make it panic, and what decodes survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_mqtt::{Decoder, encode, packet::Packet};

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new(64 * 1024);
    decoder.feed(bytes);
    while let Ok(Some(packet)) = decoder.poll() {
        if matches!(&packet, Packet::Connect(connect) if connect.level != 4) {
            continue;
        }
        let mut out = Default::default();
        encode(&packet, &mut out);
        let mut again = Decoder::default();
        again.feed(&out);
        assert_eq!(again.poll(), Ok(Some(packet)));
    }
});
