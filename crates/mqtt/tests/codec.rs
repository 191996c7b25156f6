//! The codec: what goes in comes out, however it is cut, and nothing malformed gets through.

#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use usher_mqtt::{
    DecodeError, Decoder, encode,
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

fn bytes_of(packets: &[Packet]) -> BytesMut {
    let mut bytes = BytesMut::new();
    packets.iter().for_each(|packet| encode(packet, &mut bytes));
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

#[test]
fn each_rule_is_enforced_by_name() {
    assert_eq!(refusal(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]), DecodeError::RemainingLength);
    assert_eq!(refusal(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]), DecodeError::TooLarge);
    assert_eq!(refusal(&[0x00, 0]), DecodeError::PacketType);
    assert_eq!(refusal(&[0xC1, 0]), DecodeError::ReservedFlags);
    assert_eq!(refusal(&[0x80, 2, 0, 1]), DecodeError::ReservedFlags, "SUBSCRIBE has a fixed flag");
    assert_eq!(refusal(&[0x40, 2, 0, 0]), DecodeError::PacketId);
    assert_eq!(refusal(&[0x40, 3, 0, 1, 9]), DecodeError::TrailingBytes);
    assert_eq!(refusal(&[0x40, 1, 0]), DecodeError::Truncated);
    assert_eq!(refusal(&[0x36, 3, 0, 1, b'a']), DecodeError::Qos);
    assert_eq!(refusal(&[0x30, 3, 0, 1, b'#']), DecodeError::Topic);
    assert_eq!(refusal(&[0x30, 2, 0, 0]), DecodeError::Topic);
    assert_eq!(refusal(&[0x30, 3, 0, 1, 0]), DecodeError::Text);
    assert_eq!(refusal(&[0x30, 3, 0, 1, 0xFF]), DecodeError::Text);
    assert_eq!(refusal(&[0x30, 4, 0, 9, b'a', b'b']), DecodeError::Truncated);
    assert_eq!(refusal(&[0x82, 2, 0, 1]), DecodeError::FilterCount);
    assert_eq!(refusal(b"\x10\x0C\x00\x04HTTP\x04\x02\x00\x00\x00\x00"), DecodeError::ProtocolName);
    assert_eq!(refusal(b"\x10\x0C\x00\x04MQTT\x04\x03\x00\x00\x00\x00"), DecodeError::ReservedFlags);
    assert_eq!(refusal(b"\x10\x0C\x00\x04MQTT\x04\x22\x00\x00\x00\x00"), DecodeError::ReservedFlags, "will flags without a will");
    assert_eq!(refusal(b"\x10\x0E\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x00"), DecodeError::PasswordAlone);
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

/// Mutated conversations: nothing panics, and what decodes can be encoded and decoded again to the same.
#[test]
fn mutated_bytes_never_panic() {
    let clean = bytes_of(&one_of_each());
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).unwrap()
    };
    let mut decoded = 0;
    for _ in 0..60_000 {
        let mut bytes = clean.clone();
        for _ in 0..=random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = (random() & 0xFF) as u8;
        }
        bytes.truncate(random() % (bytes.len() + 1));
        let mut decoder = Decoder::new(4_096);
        decoder.feed(&bytes);
        while let Ok(Some(packet)) = decoder.poll() {
            let mut again = Decoder::default();
            again.feed(&bytes_of(std::slice::from_ref(&packet)));
            if !matches!(&packet, Packet::Connect(connect) if connect.level != 4) {
                assert_eq!(again.poll(), Ok(Some(packet)));
            }
            decoded += 1;
        }
    }
    assert!(decoded > 60_000, "only {decoded} packets decoded: the mutation is too wild to test much");
}
