//! Packets to bytes.

use bytes::{BufMut as _, BytesMut};

use super::{EncodeError, FIELD_BYTES_MAX, REMAINING_LENGTH_MAX, kind};
use crate::packet::{Connect, Packet, Publish, Qos, Will};

/// Appends a packet to `out`, or nothing where it has a field or a length that the protocol cannot express.
pub fn encode(packet: &Packet, out: &mut BytesMut) -> Result<(), EncodeError> {
    let mut body = BytesMut::new();
    let first = match packet {
        Packet::Connect(connect) => connect_body(connect, &mut body)?,
        Packet::Connack { session_present, code } => {
            body.put_slice(&[u8::from(*session_present), code.byte()]);
            kind::CONNACK << 4
        }
        Packet::Publish(publish) => return encode_publish(publish, out),
        Packet::Puback(id) => id_body(kind::PUBACK, *id, &mut body),
        Packet::Pubrec(id) => id_body(kind::PUBREC, *id, &mut body),
        Packet::Pubrel(id) => id_body(kind::PUBREL, *id, &mut body) | 0b0010,
        Packet::Pubcomp(id) => id_body(kind::PUBCOMP, *id, &mut body),
        Packet::Subscribe { packet_id, filters } => {
            body.put_u16(*packet_id);
            for (filter, qos) in filters {
                field(filter.as_bytes(), &mut body)?;
                body.put_u8(qos.bits());
            }
            kind::SUBSCRIBE << 4 | 0b0010
        }
        Packet::Suback { packet_id, granted } => {
            body.put_u16(*packet_id);
            granted.iter().for_each(|qos| body.put_u8(qos.map_or(0x80, Qos::bits)));
            kind::SUBACK << 4
        }
        Packet::Unsubscribe { packet_id, filters } => {
            body.put_u16(*packet_id);
            filters.iter().try_for_each(|filter| field(filter.as_bytes(), &mut body))?;
            kind::UNSUBSCRIBE << 4 | 0b0010
        }
        Packet::Unsuback(id) => id_body(kind::UNSUBACK, *id, &mut body),
        Packet::Pingreq => kind::PINGREQ << 4,
        Packet::Pingresp => kind::PINGRESP << 4,
        Packet::Disconnect => kind::DISCONNECT << 4,
    };
    header(first, body.len(), out)?;
    out.extend_from_slice(&body);
    Ok(())
}

/// A message goes straight to `out`: its payload is copied once.
fn encode_publish(publish: &Publish, out: &mut BytesMut) -> Result<(), EncodeError> {
    let flags = u8::from(publish.dup) << 3 | publish.qos.bits() << 1 | u8::from(publish.retain);
    let topic = publish.topic.as_bytes();
    if topic.len() > FIELD_BYTES_MAX {
        return Err(EncodeError::FieldTooLong);
    }
    header(kind::PUBLISH << 4 | flags, publish_length(topic.len(), publish.qos, publish.payload.len()), out)?;
    field(topic, out)?;
    if publish.qos != Qos::AtMostOnce {
        out.put_u16(publish.packet_id);
    }
    out.extend_from_slice(&publish.payload);
    Ok(())
}

/// The remaining length of a PUBLISH, in bytes (section 3.3).
pub(crate) fn publish_length(topic: usize, qos: Qos, payload: usize) -> usize {
    let fields = if qos == Qos::AtMostOnce { 2_usize } else { 4 };
    fields.saturating_add(topic).saturating_add(payload)
}

fn connect_body(connect: &Connect, body: &mut BytesMut) -> Result<u8, EncodeError> {
    field(b"MQTT", body)?;
    body.put_u8(connect.level);
    let mut flags = u8::from(connect.clean_session) << 1;
    flags |= u8::from(connect.user_name.is_some()) << 7 | u8::from(connect.password.is_some()) << 6;
    if let Some(Will { qos, retain, .. }) = &connect.will {
        flags |= 1 << 2 | qos.bits() << 3 | u8::from(*retain) << 5;
    }
    body.put_u8(flags);
    body.put_u16(connect.keep_alive_s);
    field(connect.client_id.as_bytes(), body)?;
    if let Some(will) = &connect.will {
        field(will.topic.as_bytes(), body)?;
        field(&will.payload, body)?;
    }
    if let Some(name) = &connect.user_name {
        field(name.as_bytes(), body)?;
    }
    if let Some(password) = &connect.password {
        field(password, body)?;
    }
    Ok(kind::CONNECT << 4)
}

fn id_body(kind: u8, id: u16, body: &mut BytesMut) -> u8 {
    body.put_u16(id);
    kind << 4
}

fn field(bytes: &[u8], out: &mut BytesMut) -> Result<(), EncodeError> {
    out.put_u16(u16::try_from(bytes.len()).map_err(|_| EncodeError::FieldTooLong)?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// The fixed header (section 2.2.3).
fn header(first: u8, mut length: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    if length > REMAINING_LENGTH_MAX {
        return Err(EncodeError::PacketTooLong);
    }
    out.put_u8(first);
    loop {
        let digit = (length & 0x7F) as u8;
        length >>= 7;
        if length == 0 {
            out.put_u8(digit);
            return Ok(());
        }
        out.put_u8(digit | 0x80);
    }
}
