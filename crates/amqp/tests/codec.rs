//! The codec: every type there and back, and what hostile bytes may not do.
#![allow(clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use usher_amqp::{
    codec::{
        DEPTH_MAX, DecodeError, VALUES_MAX, decode_value, encode_value,
        frame::{FrameKind, FrameReader, ProtocolHeader, encode_frame},
        message::{Body, Header, Message, Properties},
        performative::{
            AmqpError, Attach, Begin, Close, DeliveryState, Detach, Disposition, End, Flow, Open, Performative, Role, Terminus, Transfer,
        },
        types::{Array, Map, Symbol, Value},
    },
    sasl::{SaslCode, SaslFrame},
};

fn encoded(value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    encode_value(value, &mut out);
    out.freeze()
}

fn list32(count: u32, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 4).unwrap();
    [&[0xd0], &size.to_be_bytes()[..], &count.to_be_bytes(), body].concat()
}

fn every_type() -> Vec<Value> {
    vec![
        Value::Null,
        true.into(),
        false.into(),
        7_u8.into(),
        700_u16.into(),
        0_u32.into(),
        255_u32.into(),
        256_u32.into(),
        0_u64.into(),
        255_u64.into(),
        u64::MAX.into(),
        (-7_i8).into(),
        (-700_i16).into(),
        (-128_i32).into(),
        (-129_i32).into(),
        127_i64.into(),
        128_i64.into(),
        1.5_f32.into(),
        (-2.5_f64).into(),
        Value::Decimal32([1; 4]),
        Value::Decimal64([2; 8]),
        Value::Decimal128([3; 16]),
        Value::Char('ß'),
        Value::Timestamp(-1),
        Value::Uuid([9; 16]),
        Bytes::from_static(b"short").into(),
        Bytes::from(vec![1; 300]).into(),
        "grün".into(),
        "x".repeat(256).into(),
        Symbol::from("amqp:symbol").into(),
        Symbol::from("s".repeat(300).as_str()).into(),
        Value::List(vec![]),
        Value::List(vec![1_u32.into(), "a".into(), Value::List(vec![Value::Null])]),
        Map::new().with("key", 1_i32).with(Symbol::from("other"), Value::Null).into(),
        Array::default().into(),
        Array::symbols([Symbol::from("PLAIN"), Symbol::from("TPM")]).into(),
        Value::described(0x77, "described".into()),
    ]
}

#[test]
fn every_type_survives_the_wire() {
    for value in every_type() {
        assert_eq!(decode_value(encoded(&value)).unwrap(), value);
    }
}

#[test]
fn arrays_that_others_write_are_read_and_written_again() {
    let arrays: [&[u8]; 4] = [
        &[0xe0, 4, 2, 0x52, 1, 2],                   // small uints
        &[0xe0, 2, 3, 0x41],                         // three times true, no bytes for any
        &[0xe0, 7, 2, 0x00, 0x53, 0x77, 0xa1, 0, 0], // described strings
        &[0xe0, 6, 1, 0xe0, 3, 1, 0x50, 5],          // an array in an array
    ];
    for bytes in arrays {
        let value = decode_value(Bytes::copy_from_slice(bytes)).unwrap();
        assert_eq!(decode_value(encoded(&value)).unwrap(), value, "{bytes:02x?}");
    }
}

#[test]
fn every_cut_of_a_value_is_an_error() {
    for value in every_type() {
        let bytes = encoded(&value);
        for end in 0..bytes.len() {
            assert!(decode_value(bytes.slice(..end)).is_err(), "{value:?} cut at {end}");
        }
    }
}

#[test]
fn lying_lengths_and_counts_are_refused() {
    let lies: [(&[u8], DecodeError); 8] = [
        (&[0xb0, 0xff, 0xff, 0xff, 0xff, 1], DecodeError::Truncated),
        (&[0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40], DecodeError::Truncated),
        (&[0xd0, 0, 0, 0, 6, 0, 0, 0, 1, 0x40, 0x40], DecodeError::TrailingBytes),
        (&[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40], DecodeError::TooMany),
        (&[0xd1, 0, 0, 0, 5, 0, 0, 0, 1, 0x40], DecodeError::OddMap),
        (&[0xc0, 0], DecodeError::Truncated),
        (&[0x56, 2], DecodeError::FormatCode(2)),
        (&[0x3f], DecodeError::FormatCode(0x3f)),
    ];
    for (bytes, error) in lies {
        assert_eq!(decode_value(Bytes::copy_from_slice(bytes)), Err(error), "{bytes:02x?}");
    }
}

#[test]
fn nesting_is_bounded_for_lists_and_for_descriptors() {
    let nested = |depth: usize| (0..depth).fold(vec![0x40], |inner, _| list32(1, &inner));
    assert!(decode_value(nested(DEPTH_MAX).into()).is_ok());
    assert_eq!(decode_value(nested(DEPTH_MAX + 1).into()), Err(DecodeError::Depth));
    assert_eq!(decode_value(nested(7_000).into()), Err(DecodeError::Depth));
    assert_eq!(decode_value(vec![0; 1_000_000].into()), Err(DecodeError::Depth));
    let chain = [[0x00, 0x53, 0x01]; 1000].concat();
    assert_eq!(decode_value(chain.into()), Err(DecodeError::Depth));
}

#[test]
fn values_are_counted_over_all_levels() {
    let count = u32::try_from(VALUES_MAX).unwrap();
    assert!(decode_value(list32(count - 1, &vec![0x40; VALUES_MAX - 1]).into()).is_ok());
    assert_eq!(decode_value(list32(count, &vec![0x40; VALUES_MAX]).into()), Err(DecodeError::TooMany));
    let half = list32(count / 2, &vec![0x40; VALUES_MAX / 2]);
    assert_eq!(decode_value(list32(2, &[half.clone(), half].concat()).into()), Err(DecodeError::TooMany));
}

#[test]
fn a_long_descriptor_cannot_be_multiplied_by_an_array() {
    let mut array = vec![0x00, 0xb3, 0, 0, 0x40, 0];
    array.extend(vec![b'd'; 0x4000]);
    array.push(0x40);
    let mut bytes = vec![0xf0];
    bytes.extend(u32::try_from(array.len() + 4).unwrap().to_be_bytes());
    bytes.extend(1000_u32.to_be_bytes());
    bytes.extend(array);
    assert_eq!(decode_value(bytes.into()), Err(DecodeError::Descriptor));
}

#[test]
fn text_must_be_in_its_encoding() {
    for bytes in [&[0xa1, 1, 0xff][..], &[0xa3, 2, 0xc3, 0xbc], &[0x73, 0, 0, 0xd8, 0]] {
        assert_eq!(decode_value(Bytes::copy_from_slice(bytes)), Err(DecodeError::Text));
    }
}

fn performatives() -> Vec<Performative> {
    let error = AmqpError { info: Map::new().with(Symbol::from("retry-after"), 3_i32), ..AmqpError::new("amqp:not-found", "{}") };
    vec![
        Performative::Open(Open {
            container_id: "device".into(),
            hostname: Some("host:5671".into()),
            max_frame_size: 65536,
            channel_max: 3,
            idle_time_out_ms: Some(60_000),
            properties: Map::new().with(Symbol::from("product"), "test"),
        }),
        Performative::Begin(Begin {
            remote_channel: Some(0),
            next_outgoing_id: u32::MAX,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: 7,
        }),
        Performative::Attach(Box::new(Attach {
            name: "sender_link".into(),
            handle: 0,
            role: Role::Sender,
            snd_settle_mode: 0,
            rcv_settle_mode: 1,
            source: Some(Terminus::source("remote_endpoint")),
            target: Some(Terminus::target("amqps://host/0ne/registrations/r1")),
            initial_delivery_count: Some(0),
            max_message_size: u64::MAX,
            properties: Map::new().with(Symbol::from("com.microsoft:api-version"), "2021-06-01"),
        })),
        Performative::Flow(Flow { handle: Some(0), link_credit: Some(10), drain: true, echo: true, ..Flow::default() }),
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first: 1,
            last: Some(2),
            settled: true,
            state: Some(DeliveryState::Rejected(Some(error.clone()))),
        }),
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first: 1,
            last: None,
            settled: false,
            state: Some(DeliveryState::Modified { delivery_failed: true, undeliverable_here: false, message_annotations: Map::new() }),
        }),
        Performative::Detach(Detach { handle: 1, closed: true, error: Some(error.clone()) }),
        Performative::End(End { error: None }),
        Performative::Close(Close { error: Some(error) }),
    ]
}

#[test]
fn performatives_survive_the_wire_and_every_cut_is_an_error() {
    for performative in performatives() {
        let mut out = BytesMut::new();
        performative.encode(&mut out);
        let bytes = out.freeze();
        let (decoded, rest) = Performative::decode(bytes.clone()).unwrap();
        assert_eq!(decoded, performative);
        assert!(rest.is_empty());
        for end in 0..bytes.len() {
            assert!(Performative::decode(bytes.slice(..end)).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Performative::decode(longer.into()), Err(DecodeError::TrailingBytes));
    }
}

#[test]
fn a_transfer_is_followed_by_its_payload() {
    let transfer = Transfer {
        handle: 1,
        delivery_id: Some(2),
        delivery_tag: Some(Bytes::from_static(b"t")),
        settled: Some(false),
        ..Transfer::default()
    };
    let mut out = BytesMut::new();
    Performative::Transfer(transfer.clone()).encode(&mut out);
    out.extend_from_slice(b"payload");
    assert_eq!(Performative::decode(out.freeze()).unwrap(), (Performative::Transfer(transfer), Bytes::from_static(b"payload")));
}

#[test]
fn missing_mandatory_fields_are_named() {
    let open = Bytes::from_static(&[0x00, 0x53, 0x10, 0x45]);
    assert_eq!(Performative::decode(open), Err(DecodeError::Field("container-id")));
    let begin = Bytes::from_static(&[0x00, 0x53, 0x11, 0xc0, 5, 2, 0x40, 0xa1, 1, b'x']);
    assert_eq!(Performative::decode(begin), Err(DecodeError::Field("next-outgoing-id")));
    let unknown = Bytes::from_static(&[0x00, 0x53, 0x19, 0x45]);
    assert_eq!(Performative::decode(unknown), Err(DecodeError::Descriptor));
}

#[test]
fn an_address_is_known_for_sources_and_targets_only() {
    assert_eq!(Terminus::source("a").address(), Some("a"));
    assert_eq!(Terminus::target("b").address(), Some("b"));
}

fn full_message() -> Message {
    Message {
        format: 0,
        header: Some(Header { durable: true, ttl_ms: Some(1000), ..Header::default() }),
        delivery_annotations: Map::new().with(Symbol::from("x-opt-hop"), 1_u32),
        message_annotations: Map::new().with(Symbol::from("iothub-connection-device-id"), "d"),
        properties: Properties {
            message_id: Some(Value::Uuid([1; 16])),
            user_id: Some(Bytes::from_static(b"u")),
            to: Some("/devices/d".into()),
            subject: Some("s".into()),
            reply_to: Some("r".into()),
            correlation_id: Some("c".into()),
            content_type: Some("application/json".into()),
            content_encoding: Some("utf-8".into()),
            absolute_expiry_time_ms: Some(1),
            creation_time_ms: Some(2),
            group_id: Some("g".into()),
            group_sequence: Some(3),
            reply_to_group_id: Some("rg".into()),
        },
        application_properties: Map::new().with("iotdps-operation-type", "iotdps-register").with("retry-after", 3_i32),
        body: Body::Data(vec![Bytes::from_static(b"{}"), Bytes::from_static(b"more")]),
        footer: Map::new().with(Symbol::from("sum"), 1_u64),
    }
}

#[test]
fn messages_of_every_body_survive_the_wire() {
    for body in [
        Body::Empty,
        Body::Data(vec![Bytes::new()]),
        Body::Value("iotdps-get-operationstatus".into()),
        Body::Sequence(vec![vec![1_u32.into()], vec![]]),
        full_message().body,
    ] {
        let message = Message { body, ..full_message() };
        assert_eq!(Message::decode(message.encode()).unwrap(), message);
    }
    assert_eq!(Message::decode(Bytes::new()).unwrap(), Message::default());
    assert_eq!(full_message().data_bytes().unwrap(), "{}more");
}

#[test]
fn sections_out_of_order_or_repeated_are_refused() {
    let section = |code: u64, value: Value| encoded(&Value::described(code, value)).to_vec();
    let data = section(0x75, Bytes::from_static(b"x").into());
    let value = section(0x77, 1_u32.into());
    let header = section(0x70, Value::List(vec![]));
    for parts in [vec![&data, &header], vec![&header, &header], vec![&data, &value], vec![&value, &value]] {
        let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
        assert_eq!(Message::decode(bytes.into()), Err(DecodeError::Sections));
    }
    assert_eq!(Message::decode(encoded(&"plain".into())), Err(DecodeError::Descriptor));
}

#[test]
fn sasl_frames_survive_the_wire_and_hide_what_they_carry() {
    let init = SaslFrame::Init {
        mechanism: "PLAIN".into(),
        initial_response: Bytes::from_static(b"\0user\0hunter2").into(),
        hostname: Some("0ne/registrations/r1".into()),
    };
    let steps = [
        SaslFrame::Mechanisms(vec!["PLAIN".into(), "TPM".into()]),
        init.clone(),
        SaslFrame::Challenge(Bytes::from_static(&[0]).into()),
        SaslFrame::Response(Bytes::from_static(b"hunter2").into()),
        SaslFrame::Outcome(SaslCode::SysTemp),
    ];
    for step in steps {
        assert_eq!(SaslFrame::decode(step.encode()).unwrap(), step);
        assert!(!format!("{step:?}").contains("hunter2"));
    }
    // A single mechanism may come as a bare symbol.
    let bare = Bytes::from_static(b"\x00\x53\x40\xc0\x07\x01\xa3\x03TPM\x40");
    assert!(SaslFrame::decode(bare).is_err(), "bytes left over");
    let bare = Bytes::from_static(b"\x00\x53\x40\xc0\x06\x01\xa3\x03TPM");
    assert_eq!(SaslFrame::decode(bare).unwrap(), SaslFrame::Mechanisms(vec!["TPM".into()]));
}

#[test]
fn frames_are_cut_out_of_any_stream() {
    let mut stream = BytesMut::from(&ProtocolHeader::Sasl.bytes()[..]);
    encode_frame(FrameKind::Sasl, 0, &[b"one"], &mut stream);
    encode_frame(FrameKind::Amqp, 3, &[b"tw", b"o"], &mut stream);
    encode_frame(FrameKind::Amqp, 0, &[], &mut stream);
    let mut reader = FrameReader::default();
    let (mut header, mut frames) = (None, Vec::new());
    for byte in stream {
        reader.feed(&[byte]);
        if header.is_none() {
            header = reader.header();
        } else if let Some(frame) = reader.frame(512).unwrap() {
            frames.push((frame.kind, frame.channel, frame.body));
        }
    }
    assert_eq!(ProtocolHeader::parse(&header.unwrap()), Some(ProtocolHeader::Sasl));
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0], (FrameKind::Sasl, 0, Bytes::from_static(b"one")));
    assert_eq!(frames[1], (FrameKind::Amqp, 3, Bytes::from_static(b"two")));
    assert!(frames[2].2.is_empty());
    assert_eq!(reader.buffered(), 0);
}

#[test]
fn frame_headers_that_lie_are_refused_before_their_bytes_arrive() {
    let refused = |header: [u8; 8]| {
        let mut reader = FrameReader::default();
        reader.feed(&header);
        reader.frame(512).err()
    };
    assert_eq!(refused([0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0]), Some(DecodeError::TooLarge));
    assert_eq!(refused([0, 0, 2, 1, 2, 0, 0, 0]), Some(DecodeError::TooLarge));
    assert_eq!(refused([0, 0, 0, 7, 2, 0, 0, 0]), Some(DecodeError::FrameHeader));
    assert_eq!(refused([0, 0, 0, 8, 1, 0, 0, 0]), Some(DecodeError::FrameHeader));
    assert_eq!(refused([0, 0, 0, 8, 3, 0, 0, 0]), Some(DecodeError::FrameHeader));
    assert_eq!(refused([0, 0, 0, 8, 2, 2, 0, 0]), Some(DecodeError::FrameHeader));
    assert_eq!(refused([0, 0, 2, 0, 2, 0, 0, 0]), None);
}
