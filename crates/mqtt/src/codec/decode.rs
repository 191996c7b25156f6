//! Bytes to packets: strict, bounded, and indifferent to how the bytes are cut.

use bytes::{Buf as _, Bytes, BytesMut};

use super::{DecodeError, FILTERS_MAX, HEADER_BYTES_MAX, PACKET_BYTES_MAX, kind, reader::Reader};
use crate::{
    packet::{Connect, ConnectCode, Packet, Publish, Qos, Will},
    topic,
};

/// Takes bytes as they arrive and gives packets as they are complete.
///
/// Holds at most one packet of its limit and the bytes of one [`Self::feed`], as long as it is polled until empty before it is fed again.
#[derive(Debug)]
pub struct Decoder {
    unread: BytesMut,
    limit: usize,
    failed: Option<DecodeError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(PACKET_BYTES_MAX)
    }
}

impl Decoder {
    /// A decoder that refuses packets whose remaining length is more than `limit` bytes, as soon as it is known.
    pub fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), limit, failed: None }
    }

    /// Changes the limit, for the packets from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes bytes. Where a whole packet of the largest size waits to be polled already, this is the end: [`DecodeError::Backlog`].
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        if self.unread.len() >= self.limit.saturating_add(HEADER_BYTES_MAX) {
            self.fail(DecodeError::Backlog);
        } else {
            self.unread.extend_from_slice(bytes);
        }
    }

    /// The next complete packet, or `None` until more bytes come. An error is for good: it is given again on each call, since where
    /// the next packet would begin is not known any more.
    pub fn poll(&mut self) -> Result<Option<Packet>, DecodeError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.next().inspect_err(|error| self.fail(*error))
    }

    fn fail(&mut self, error: DecodeError) {
        self.failed = Some(error);
        self.unread = BytesMut::new();
    }

    fn next(&mut self) -> Result<Option<Packet>, DecodeError> {
        let Some(header) = header(&self.unread, self.limit)? else { return Ok(None) };
        if self.unread.len().saturating_sub(header.bytes) < header.remaining {
            return Ok(None);
        }
        self.unread.advance(header.bytes);
        let body = self.unread.split_to(header.remaining).freeze();
        packet(header.kind, header.flags, body).map(Some)
    }
}

/// A fixed header (section 2.2).
struct Header {
    kind: u8,
    flags: u8,
    /// Its own length.
    bytes: usize,
    /// The length of what follows.
    remaining: usize,
}

/// Reads and judges a fixed header, once it is complete; whatever can be refused by it is refused before a byte more is kept.
fn header(unread: &[u8], limit: usize) -> Result<Option<Header>, DecodeError> {
    let Some((&first, digits)) = unread.split_first() else { return Ok(None) };
    let (kind, flags) = (first >> 4, first & 0x0F);
    check_flags(kind, flags)?;
    let mut remaining = 0_usize;
    for (at, digit) in digits.iter().take(HEADER_BYTES_MAX - 1).enumerate() {
        remaining |= usize::from(digit & 0x7F) << (7 * at);
        if digit & 0x80 == 0 {
            check_length(kind, remaining, limit)?;
            return Ok(Some(Header { kind, flags, bytes: at + 2, remaining }));
        }
    }
    if digits.len() < HEADER_BYTES_MAX - 1 { Ok(None) } else { Err(DecodeError::RemainingLength) }
}

/// The type and its flags (sections 2.2.1 and 2.2.2).
fn check_flags(kind: u8, flags: u8) -> Result<(), DecodeError> {
    let expected = match kind {
        kind::PUBLISH => flags,
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
        kind::CONNECT..=kind::DISCONNECT => 0,
        _ => return Err(DecodeError::PacketType),
    };
    if flags == expected { Ok(()) } else { Err(DecodeError::ReservedFlags) }
}

/// The limit, and the one length that packets without a payload can have.
fn check_length(kind: u8, remaining: usize, limit: usize) -> Result<(), DecodeError> {
    let fixed = match kind {
        kind::CONNACK | kind::PUBACK..=kind::PUBCOMP | kind::UNSUBACK => Some(2),
        kind::PINGREQ..=kind::DISCONNECT => Some(0),
        _ => None,
    };
    match fixed {
        Some(fixed) if remaining < fixed => Err(DecodeError::Truncated),
        Some(fixed) if remaining > fixed => Err(DecodeError::TrailingBytes),
        _ if remaining > limit => Err(DecodeError::TooLarge),
        _ => Ok(()),
    }
}

fn packet(kind: u8, flags: u8, body: Bytes) -> Result<Packet, DecodeError> {
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
    if level == 4 && name != "MQTT" {
        return Err(DecodeError::ProtocolName);
    }
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
    // A refusal keeps no session (section 3.2.2.2).
    if flags == 1 && code != ConnectCode::Accepted {
        return Err(DecodeError::ReservedFlags);
    }
    Ok(Packet::Connack { session_present: flags == 1, code })
}

fn publish(flags: u8, mut reader: Reader) -> Result<Packet, DecodeError> {
    let qos = Qos::from_bits((flags >> 1) & 0b11).ok_or(DecodeError::Qos)?;
    if qos == Qos::AtMostOnce && flags & 0b1000 != 0 {
        return Err(DecodeError::Dup);
    }
    let topic = topic_name(&mut reader)?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { reader.packet_id()? };
    Ok(Packet::Publish(Publish { dup: flags & 0b1000 != 0, qos, retain: flags & 1 != 0, topic, packet_id, payload: reader.0 }))
}

fn topic_name(reader: &mut Reader) -> Result<String, DecodeError> {
    let topic = reader.text()?;
    if topic::is_name(&topic) { Ok(topic) } else { Err(DecodeError::Topic) }
}

fn filter(reader: &mut Reader) -> Result<String, DecodeError> {
    let filter = reader.text()?;
    if topic::is_filter(&filter) { Ok(filter) } else { Err(DecodeError::Topic) }
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
