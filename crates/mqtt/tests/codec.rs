//! The codec: what goes in comes out, however it is cut, and nothing malformed gets through.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use usher_mqtt::{
    DecodeError, Decoder, EncodeError,
    codec::FILTERS_MAX,
    encode,
    packet::{Connect, ConnectCode, Packet, Publish, Qos, Will},
};

fn one_of_each() -> Vec<Packet> {
    let will = Will { topic: "w".into(), payload: Bytes::from_static(b"gone"), qos: Qos::AtLeastOnce, retain: true };
    let connect = Connect {
        level: 4,
        client_id: "device".into(),
        clean_session: true,
        keep_alive_s: 60,
        will: Some(will),
        user_name: Some("user".into()),
        password: Some(Bytes::from_static(b"secret")),
    };
    let publish = |qos, packet_id| {
        Packet::Publish(Publish { dup: false, qos, retain: false, topic: "a/b".into(), packet_id, payload: Bytes::from(vec![9; 300]) })
    };
    vec![
        Packet::Connect(Box::new(connect)),
        Packet::Connack { session_present: false, code: ConnectCode::NotAuthorized },
        publish(Qos::AtMostOnce, 0),
        publish(Qos::AtLeastOnce, 7),
        publish(Qos::ExactlyOnce, 8),
        Packet::Puback(1),
        Packet::Pubrec(2),
        Packet::Pubrel(3),
        Packet::Pubcomp(4),
        Packet::Subscribe { packet_id: 5, filters: vec![("a/#".into(), Qos::AtLeastOnce), ("+".into(), Qos::AtMostOnce)] },
        Packet::Suback { packet_id: 5, granted: vec![Some(Qos::AtLeastOnce), None] },
        Packet::Unsubscribe { packet_id: 6, filters: vec!["a/#".into()] },
        Packet::Unsuback(6),
        Packet::Pingreq,
        Packet::Pingresp,
        Packet::Disconnect,
    ]
}

fn message(payload: usize) -> Publish {
    let payload = Bytes::from(vec![7; payload]);
    Publish { dup: false, qos: Qos::AtMostOnce, retain: false, topic: "t".into(), packet_id: 0, payload }
}

fn bytes_of(packets: &[Packet]) -> BytesMut {
    let mut bytes = BytesMut::new();
    packets.iter().for_each(|packet| encode(packet, &mut bytes).unwrap());
    bytes
}

fn all(decoder: &mut Decoder) -> Result<Vec<Packet>, DecodeError> {
    let mut packets = Vec::new();
    while let Some(packet) = decoder.poll()? {
        packets.push(packet);
    }
    Ok(packets)
}

fn refusal(bytes: &[u8]) -> DecodeError {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    all(&mut decoder).unwrap_err()
}

#[test]
fn every_packet_survives_a_round_trip_in_one_piece_and_byte_by_byte() {
    let (packets, mut whole, mut slow) = (one_of_each(), Decoder::default(), Decoder::default());
    let bytes = bytes_of(&packets);
    whole.feed(&bytes);
    assert_eq!(all(&mut whole).unwrap(), packets);
    let mut seen = Vec::new();
    for byte in bytes {
        slow.feed(&[byte]);
        seen.extend(all(&mut slow).unwrap());
    }
    assert_eq!(seen, packets);
}

/// One rule a test: bytes that break it, and the name and section of the refusal.
macro_rules! refuses {
    ($($name:ident: $bytes:expr => $error:ident, $section:expr;)+) => {$(
        #[test]
        fn $name() {
            let bytes: &[u8] = $bytes;
            assert_eq!(refusal(bytes), DecodeError::$error);
            assert_eq!(DecodeError::$error.section(), $section);
        }
    )+};
}

refuses! {
    a_remaining_length_has_at_most_four_bytes: &[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01] => RemainingLength, Some("2.2.3");
    a_packet_over_the_limit_is_refused_by_its_header_alone: &[0x30, 0xFF, 0xFF, 0xFF, 0x7F] => TooLarge, None;
    packet_type_0_is_reserved: &[0x00] => PacketType, Some("2.2.1");
    packet_type_15_is_reserved: &[0xF0] => PacketType, Some("2.2.1");
    flags_of_pingreq_are_clear: &[0xC1] => ReservedFlags, Some("2.2.2");
    flags_of_subscribe_are_fixed: &[0x80] => ReservedFlags, Some("2.2.2");
    flags_of_unsubscribe_are_fixed: &[0xA0] => ReservedFlags, Some("2.2.2");
    flags_of_pubrel_are_fixed: &[0x60] => ReservedFlags, Some("2.2.2");
    a_tls_hello_on_the_plain_port_is_refused_by_its_first_byte: &[0x16] => ReservedFlags, Some("2.2.2");
    a_packet_id_is_not_0: &[0x40, 2, 0, 0] => PacketId, Some("2.3.1");
    a_message_of_level_1_has_a_packet_id_that_is_not_0: &[0x32, 5, 0, 1, b'a', 0, 0] => PacketId, Some("2.3.1");
    an_acknowledgement_ends_after_its_packet_id: &[0x40, 3] => TrailingBytes, Some("2.2.3");
    an_acknowledgement_has_a_whole_packet_id: &[0x40, 1] => Truncated, Some("2.2.3");
    a_ping_has_nothing_to_say: &[0xC0, 1] => TrailingBytes, Some("2.2.3");
    a_field_does_not_go_beyond_its_packet: &[0x30, 4, 0, 9, b'a', b'b'] => Truncated, Some("2.2.3");
    quality_of_service_3_is_reserved: &[0x36, 3, 0, 1, b'a'] => Qos, Some("3.3.1.2");
    a_subscription_to_quality_of_service_3_is_refused: b"\x82\x06\x00\x01\x00\x01a\x03" => Qos, Some("3.3.1.2");
    a_message_of_level_0_is_never_sent_again: &[0x38, 3, 0, 1, b'a'] => Dup, Some("3.3.1.1");
    a_topic_holds_no_wildcards: &[0x30, 3, 0, 1, b'#'] => Topic, Some("4.7");
    a_topic_is_not_empty: &[0x30, 2, 0, 0] => Topic, Some("4.7");
    a_filter_has_its_wildcards_alone_in_their_level: b"\x82\x08\x00\x01\x00\x03a#b\x00" => Topic, Some("4.7");
    a_filter_to_unsubscribe_is_not_empty: b"\xA2\x04\x00\x01\x00\x00" => Topic, Some("4.7");
    a_text_holds_no_nul: &[0x30, 3, 0, 1, 0] => Text, Some("1.5.3");
    a_text_is_utf_8: &[0x30, 3, 0, 1, 0xFF] => Text, Some("1.5.3");
    a_text_holds_no_surrogates: b"\x30\x05\x00\x03\xED\xA0\x80" => Text, Some("1.5.3");
    subscribe_names_a_filter: &[0x82, 2, 0, 1] => FilterCount, Some("3.8.3");
    unsubscribe_names_a_filter: &[0xA2, 2, 0, 1] => FilterCount, Some("3.8.3");
    another_protocol_is_refused: b"\x10\x0C\x00\x04HTTP\x04\x02\x00\x00\x00\x00" => ProtocolName, Some("3.1.2.1");
    the_name_of_mqtt_3_1_does_not_go_with_level_4: b"\x10\x0E\x00\x06MQIsdp\x04\x02\x00\x00\x00\x00" => ProtocolName, Some("3.1.2.1");
    the_reserved_connect_flag_is_clear: b"\x10\x0C\x00\x04MQTT\x04\x03\x00\x00\x00\x00" => ReservedFlags, Some("2.2.2");
    will_flags_need_a_will: b"\x10\x0C\x00\x04MQTT\x04\x22\x00\x00\x00\x00" => ReservedFlags, Some("2.2.2");
    a_will_has_no_quality_of_service_3: b"\x10\x11\x00\x04MQTT\x04\x1E\x00\x00\x00\x00\x00\x01w\x00\x00" => Qos, Some("3.3.1.2");
    a_password_needs_a_user_name: b"\x10\x0E\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x00" => PasswordAlone, Some("3.1.2.9");
    connect_ends_after_its_fields: b"\x10\x0D\x00\x04MQTT\x04\x02\x00\x00\x00\x00!" => TrailingBytes, Some("2.2.3");
    a_connack_code_is_known: &[0x20, 2, 0, 6] => Code, Some("3.2.2.3");
    a_refusal_keeps_no_session: &[0x20, 2, 1, 5] => ReservedFlags, Some("2.2.2");
    a_suback_code_is_known: &[0x90, 3, 0, 1, 3] => Code, Some("3.2.2.3");
}

#[test]
fn filters_are_counted() {
    let subscribe = |count| Packet::Subscribe { packet_id: 1, filters: vec![("a".into(), Qos::AtMostOnce); count] };
    assert_eq!(refusal(&bytes_of(&[subscribe(FILTERS_MAX + 1)])), DecodeError::FilterCount);
    let mut decoder = Decoder::default();
    decoder.feed(&bytes_of(&[subscribe(FILTERS_MAX)]));
    assert_eq!(decoder.poll(), Ok(Some(subscribe(FILTERS_MAX))));
}

#[test]
fn an_error_is_for_good() {
    let mut decoder = Decoder::default();
    decoder.feed(&[0x40, 2, 0, 0, 0xC0, 0]);
    assert_eq!(decoder.poll(), Err(DecodeError::PacketId));
    decoder.feed(&[0xC0, 0]);
    assert_eq!(decoder.poll(), Err(DecodeError::PacketId), "a ping after a broken packet");
}

#[test]
fn bytes_that_nobody_polls_are_bounded() {
    let mut decoder = Decoder::new(100);
    for _ in 0..1_000 {
        decoder.feed(&[0xC0, 0]);
    }
    assert_eq!(decoder.poll(), Err(DecodeError::Backlog));
}

#[test]
fn the_limit_is_exact() {
    let packet = |payload| Packet::Publish(Publish { topic: "t".into(), ..message(payload) });
    let mut decoder = Decoder::new(1_003);
    decoder.feed(&bytes_of(&[packet(1_000)]));
    assert_eq!(decoder.poll(), Ok(Some(packet(1_000))));
    decoder.feed(&bytes_of(&[packet(1_001)]));
    assert_eq!(decoder.poll(), Err(DecodeError::TooLarge));
}

#[test]
fn what_the_protocol_cannot_express_is_not_written() {
    let mut out = BytesMut::new();
    let long = "x".repeat(65_536);
    let connect = Connect { level: 4, user_name: Some("u".into()), password: Some(Bytes::from(long.clone())), ..Connect::default() };
    let packets = [
        Packet::Connect(Box::new(connect)),
        Packet::Publish(Publish { topic: long.clone(), ..message(1) }),
        Packet::Subscribe { packet_id: 1, filters: vec![(long.clone(), Qos::AtMostOnce)] },
        Packet::Unsubscribe { packet_id: 1, filters: vec![long] },
    ];
    for packet in packets {
        assert_eq!(encode(&packet, &mut out), Err(EncodeError::FieldTooLong));
    }
    assert!(out.is_empty(), "half a packet was written");
}

#[test]
fn the_old_protocol_is_recognised_by_its_own_name() {
    let mut decoder = Decoder::default();
    decoder.feed(b"\x10\x0F\x00\x06MQIsdp\x03\x02\x00\x3C\x00\x01d");
    let Some(Packet::Connect(connect)) = decoder.poll().unwrap() else { panic!("a CONNECT") };
    assert_eq!(connect.level, 3);
}

#[test]
fn another_protocol_level_is_recognised() {
    let mut decoder = Decoder::default();
    decoder.feed(b"\x10\x0D\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x00");
    let Some(Packet::Connect(connect)) = decoder.poll().unwrap() else { panic!("a CONNECT") };
    assert_eq!(connect.level, 5);
}

#[test]
fn a_password_is_not_printed() {
    let text = format!("{:?}", one_of_each());
    assert!(text.contains("device") && !text.contains("secret"));
}

/// A decoder's whole answer to some bytes: the packets, then the error if there is one.
fn answer(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Vec<Packet>, Option<DecodeError>) {
    let (mut decoder, mut packets) = (Decoder::new(4_096), Vec::new());
    for piece in pieces {
        decoder.feed(piece.as_ref());
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

/// Deterministic noise (xorshift64).
fn noise(mut state: u64) -> impl FnMut() -> usize {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap()
    }
}

fn survives_a_round_trip(packet: &Packet) -> bool {
    // Of another level only the level is read.
    matches!(packet, Packet::Connect(connect) if connect.level != 4)
        || answer([bytes_of(std::slice::from_ref(packet))]).0 == [packet.clone()]
}

#[test]
fn mutated_conversations_never_panic_and_what_decodes_survives_a_round_trip() {
    let (packets, mut random) = (one_of_each(), noise(0x2545_F491_4F6C_DD1D));
    let (mut decoded, mut refused) = (0, 0);
    for _ in 0..60_000 {
        let from = random() % packets.len();
        let mut bytes = bytes_of(packets.get(from..).unwrap().get(..3.min(packets.len() - from)).unwrap());
        for _ in 0..random() % 3 {
            let at = random() % bytes.len();
            bytes[at] = (random() & 0xFF) as u8;
        }
        bytes.truncate(random() % (bytes.len() + 1));
        let (packets, error) = answer([&bytes]);
        assert!(packets.iter().all(survives_a_round_trip), "{packets:?}");
        decoded += packets.len();
        refused += usize::from(error.is_some());
    }
    assert!(decoded > 40_000 && refused > 10_000, "{decoded} packets and {refused} refusals: the mutation tests too little");
}

#[test]
fn random_bytes_never_panic_and_mean_the_same_however_they_are_cut() {
    let mut random = noise(0x9E37_79B9_7F4A_7C15);
    let (mut decoded, mut refused) = (0, 0);
    for _ in 0..60_000 {
        // Framed as packets, and often with a field's length where one may be: pure noise would end at the first byte.
        let mut bytes = Vec::new();
        for _ in 0..random() % 6 {
            let length = random() % 4;
            let letter = [b'a', b'/', b'+', 0, 0xFF, 1, 2][random() % 7];
            match random() % 3 {
                0 => bytes.extend([0, length as u8].into_iter().chain(std::iter::repeat_n(letter, length))),
                1 => bytes.extend([0, letter]),
                _ => bytes.push(letter),
            }
        }
        let kind = random() as u8 % 16;
        let flags = if matches!(kind, 6 | 8 | 10) { 2 } else { [0, 0, 0, 2, 8][random() % 5] };
        let framed = [&[kind << 4 | flags, bytes.len() as u8], &bytes[..]].concat();
        let whole = answer([&framed]);
        assert_eq!(whole, answer(framed.chunks(1)), "byte by byte: {framed:?}");
        assert_eq!(whole, answer(framed.chunks(random() % 7 + 1)), "in pieces: {framed:?}");
        assert!(whole.0.iter().all(survives_a_round_trip), "{whole:?}");
        decoded += whole.0.len();
        refused += usize::from(whole.1.is_some());
    }
    assert!(decoded > 2_000 && refused > 10_000, "{decoded} packets and {refused} refusals: the noise tests too little");
}
