//! Bytes to packets: strict, bounded, and indifferent to how the bytes are cut.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{DecodeError, FILTERS_MAX, PACKET_BYTES_MAX, kind, reader::Reader};
use crate::packet::{Connect, ConnectCode, Packet, Publish, Qos, Will};

/// Takes bytes as they arrive and gives packets as they are complete.
#[derive(Debug)]
pub struct Decoder {
    unread: BytesMut,
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(PACKET_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that refuses packets of more than `limit` bytes as soon as their length is known.
    pub fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), limit }
    }

    /// Changes the limit, for the packets from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// The next complete packet, or `None` until more bytes come.
    pub fn poll(&mut self) -> Result<Option<Packet>, DecodeError> {
        let Some((header, length)) = self.header()? else { return Ok(None) };
        let Some(first) = self.unread.first().copied() else { return Ok(None) };
        if self.unread.len() < header + length {
            return Ok(None);
        }
        self.unread.advance(header);
        let body = self.unread.split_to(length).freeze();
        packet(first >> 4, first & 0x0F, body).map(Some)
    }

    /// The lengths of the fixed header and of the rest, once both are known (section 2.2.3).
    fn header(&self) -> Result<Option<(usize, usize)>, DecodeError> {
        let mut length = 0_usize;
        for at in 0..4 {
            let Some(byte) = self.unread.get(at + 1) else { return Ok(None) };
            length |= usize::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                return if length > self.limit { Err(DecodeError::TooLarge) } else { Ok(Some((at + 2, length))) };
            }
        }
        Err(DecodeError::RemainingLength)
    }
}

fn packet(kind: u8, flags: u8, body: Bytes) -> Result<Packet, DecodeError> {
    let expected = match kind {
        kind::PUBLISH => flags,
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
        _ => 0,
    };
    if flags != expected {
        return Err(DecodeError::ReservedFlags);
    }
    let mut reader = Reader(body);
    let packet = match kind {
        kind::CONNECT => Packet::Connect(Box::new(connect(&mut reader)?)),
        kind::CONNACK => connack(&mut reader)?,
        // The payload takes the rest.
        kind::PUBLISH => return publish(flags, reader),
        kind::PUBACK => Packet::Puback(reader.packet_id()?),
        kind::PUBREC => Packet::Pubrec(reader.packet_id()?),
        kind::PUBREL => Packet::Pubrel(reader.packet_id()?),
        kind::PUBCOMP => Packet::Pubcomp(reader.packet_id()?),
        kind::SUBSCRIBE => subscribe(&mut reader)?,
        kind::SUBACK => suback(&mut reader)?,
        kind::UNSUBSCRIBE => unsubscribe(&mut reader)?,
        kind::UNSUBACK => Packet::Unsuback(reader.packet_id()?),
        kind::PINGREQ => Packet::Pingreq,
        kind::PINGRESP => Packet::Pingresp,
        kind::DISCONNECT => Packet::Disconnect,
        _ => return Err(DecodeError::PacketType),
    };
    reader.end()?;
    Ok(packet)
}

fn connect(reader: &mut Reader) -> Result<Connect, DecodeError> {
    // 3.1 is recognised so that it can be answered with a code instead of silence.
    let name = reader.text()?;
    if name != "MQTT" && name != "MQIsdp" {
        return Err(DecodeError::ProtocolName);
    }
    let level = reader.byte()?;
    let flags = reader.byte()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let keep_alive_s = reader.short()?;
    if level != 4 {
        // What follows belongs to another version of the protocol.
        reader.0.clear();
        return Ok(Connect { level, keep_alive_s, ..Connect::default() });
    }
    if has(0) {
        return Err(DecodeError::ReservedFlags);
    }
    let client_id = reader.text()?;
    let will = if has(2) { Some(will(reader, flags)?) } else { no_will(flags)? };
    let user_name = if has(7) { Some(reader.text()?) } else { None };
    let password = if has(6) { Some(reader.bytes()?) } else { None };
    if password.is_some() && user_name.is_none() {
        return Err(DecodeError::PasswordAlone);
    }
    Ok(Connect { level, client_id, clean_session: has(1), keep_alive_s, will, user_name, password })
}

fn will(reader: &mut Reader, flags: u8) -> Result<Will, DecodeError> {
    let topic = topic_name(reader)?;
    let payload = reader.bytes()?;
    let qos = Qos::from_bits((flags >> 3) & 0b11).ok_or(DecodeError::Qos)?;
    Ok(Will { topic, payload, qos, retain: flags & (1 << 5) != 0 })
}

/// Without a will its flags must be clear (sections 3.1.2.6 and 3.1.2.7).
fn no_will(flags: u8) -> Result<Option<Will>, DecodeError> {
    if flags & 0b0011_1000 == 0 { Ok(None) } else { Err(DecodeError::ReservedFlags) }
}

fn connack(reader: &mut Reader) -> Result<Packet, DecodeError> {
    let flags = reader.byte()?;
    if flags & !1 != 0 {
        return Err(DecodeError::ReservedFlags);
    }
    let code = ConnectCode::from_byte(reader.byte()?).ok_or(DecodeError::Code)?;
    Ok(Packet::Connack { session_present: flags == 1, code })
}

fn publish(flags: u8, mut reader: Reader) -> Result<Packet, DecodeError> {
    let qos = Qos::from_bits((flags >> 1) & 0b11).ok_or(DecodeError::Qos)?;
    let topic = topic_name(&mut reader)?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { reader.packet_id()? };
    Ok(Packet::Publish(Publish { dup: flags & 0b1000 != 0, qos, retain: flags & 1 != 0, topic, packet_id, payload: reader.0 }))
}

fn topic_name(reader: &mut Reader) -> Result<String, DecodeError> {
    let topic = reader.text()?;
    if topic.is_empty() || topic.contains(['+', '#']) { Err(DecodeError::Topic) } else { Ok(topic) }
}

fn filter(reader: &mut Reader) -> Result<String, DecodeError> {
    let filter = reader.text()?;
    if filter.is_empty() { Err(DecodeError::Topic) } else { Ok(filter) }
}

/// Repeats `read` until the packet ends; at least once, at most [`FILTERS_MAX`] times.
fn list<T>(reader: &mut Reader, mut read: impl FnMut(&mut Reader) -> Result<T, DecodeError>) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    while !reader.0.is_empty() {
        if items.len() == FILTERS_MAX {
            return Err(DecodeError::FilterCount);
        }
        items.push(read(reader)?);
    }
    if items.is_empty() { Err(DecodeError::FilterCount) } else { Ok(items) }
}

fn subscribe(reader: &mut Reader) -> Result<Packet, DecodeError> {
    let packet_id = reader.packet_id()?;
    let filters = list(reader, |reader| {
        let filter = filter(reader)?;
        Qos::from_bits(reader.byte()?).ok_or(DecodeError::Qos).map(|qos| (filter, qos))
    })?;
    Ok(Packet::Subscribe { packet_id, filters })
}

fn suback(reader: &mut Reader) -> Result<Packet, DecodeError> {
    let packet_id = reader.packet_id()?;
    let granted = list(reader, |reader| match reader.byte()? {
        0x80 => Ok(None),
        bits => Qos::from_bits(bits).map(Some).ok_or(DecodeError::Code),
    })?;
    Ok(Packet::Suback { packet_id, granted })
}

fn unsubscribe(reader: &mut Reader) -> Result<Packet, DecodeError> {
    let packet_id = reader.packet_id()?;
    let filters = list(reader, filter)?;
    Ok(Packet::Unsubscribe { packet_id, filters })
}
