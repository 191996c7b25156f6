//! AMQP values and messages: no bytes make the decoder panic, and what decodes survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_amqp::codec::message::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes.to_vec().into()) {
        let again = Message::decode(message.encode()).expect("what was encoded is decoded");
        // Compared by their text, in which a NaN is like another.
        assert_eq!(format!("{again:?}"), format!("{message:?}"));
    }
});
