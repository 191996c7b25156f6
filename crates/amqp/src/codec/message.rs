//! Messages (section 3.2): sections in their order, each optional but the body.

use std::fmt;

use bytes::{Bytes, BytesMut};

use super::{
    DecodeError, Reader, descriptor, encode_value,
    fields::{Fields, Timestamp, composite, map_or_null},
    types::{Map, Symbol, Value},
};

/// A message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// What its sections mean: 0 for the messages of part 3, another number for those of an extension (section 2.7.5). Travels beside
    /// the message.
    pub format: u32,
    /// How to deliver it.
    pub header: Option<Header>,
    /// For the next hop.
    pub delivery_annotations: Map,
    /// For the whole way.
    pub message_annotations: Map,
    /// The standard's properties.
    pub properties: Properties,
    /// The application's own.
    pub application_properties: Map,
    /// What it carries.
    pub body: Body,
    /// Behind the body.
    pub footer: Map,
}

/// How to deliver a message (section 3.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// It outlives a crash.
    pub durable: bool,
    /// Higher is more urgent; 4 is normal.
    pub priority: u8,
    /// Lifetime, in milliseconds.
    pub ttl_ms: Option<u32>,
    /// Nobody had it before.
    pub first_acquirer: bool,
    /// Failed deliveries so far.
    pub delivery_count: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self { durable: false, priority: 4, ttl_ms: None, first_acquirer: false, delivery_count: 0 }
    }
}

/// Properties of a message (section 3.2.4).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    /// A ulong, UUID, binary or string.
    pub message_id: Option<Value>,
    /// Who made it.
    pub user_id: Option<Bytes>,
    /// Whom it is for.
    pub to: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// What it answers; types as message_id's.
    pub correlation_id: Option<Value>,
    /// MIME type of the data.
    pub content_type: Option<Symbol>,
    /// What was done to the data on top.
    pub content_encoding: Option<Symbol>,
    /// It is void after this time, in milliseconds since the Unix epoch.
    pub absolute_expiry_time_ms: Option<i64>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub creation_time_ms: Option<i64>,
    /// The group it belongs to.
    pub group_id: Option<String>,
    /// Its place in the group.
    pub group_sequence: Option<u32>,
    /// The group that answers belong to.
    pub reply_to_group_id: Option<String>,
}

/// What a message carries (sections 3.2.6 to 3.2.8).
#[derive(Clone, Default, PartialEq)]
pub enum Body {
    /// No body section. The standard wants one, but a client sends polls without (Java's DPS client).
    #[default]
    Empty,
    /// Bytes, in one or more sections.
    Data(Vec<Bytes>),
    /// A value.
    Value(Value),
    /// Lists of values.
    Sequence(Vec<Vec<Value>>),
}

impl fmt::Debug for Body {
    /// Shape and size only: bodies carry tokens and keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Data(sections) => write!(f, "Data({} bytes)", sections.iter().map(Bytes::len).sum::<usize>()),
            Self::Value(_) => f.write_str("Value(..)"),
            Self::Sequence(lists) => write!(f, "Sequence({} lists)", lists.len()),
        }
    }
}

impl Message {
    /// A message of one data section.
    pub fn data(bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Data(vec![bytes.into()]), ..Self::default() }
    }

    /// The bytes of all data sections; `None` for other bodies.
    pub fn data_bytes(&self) -> Option<Bytes> {
        match &self.body {
            Body::Data(sections) => match sections.as_slice() {
                [only] => Some(only.clone()),
                several => Some(several.concat().into()),
            },
            _ => None,
        }
    }

    /// Decodes a whole message.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut latest = 0;
        Self::decode_sections(bytes, |section| {
            let in_order = section > latest || (section == latest && may_repeat(section));
            latest = section;
            in_order
        })
    }

    /// Decodes a whole message whose sections may stand in any order: Azure's C client puts annotations behind the properties in the
    /// messages of a batch (azure-iot-sdk-c: iothub_client/src/uamqp_messaging.c).
    pub fn decode_any_order(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut seen = Vec::new();
        Self::decode_sections(bytes, |section| {
            let is_new = !seen.contains(&section);
            if is_new {
                seen.push(section);
            }
            is_new || may_repeat(section)
        })
    }

    fn decode_sections(bytes: Bytes, mut may_follow: impl FnMut(u64) -> bool) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut message = Self::default();
        while !reader.is_empty() {
            let (section, value) = reader.value()?.into_described().ok_or(DecodeError::Descriptor)?;
            if !may_follow(section) {
                return Err(DecodeError::Sections);
            }
            message.take_section(section, value)?;
        }
        Ok(message)
    }

    fn take_section(&mut self, section: u64, value: Value) -> Result<(), DecodeError> {
        match section {
            descriptor::HEADER => self.header = Some(Header::decode(value)?),
            descriptor::DELIVERY_ANNOTATIONS => self.delivery_annotations = map(value)?,
            descriptor::MESSAGE_ANNOTATIONS => self.message_annotations = map(value)?,
            descriptor::PROPERTIES => self.properties = Properties::decode(value)?,
            descriptor::APPLICATION_PROPERTIES => self.application_properties = map(value)?,
            descriptor::FOOTER => self.footer = map(value)?,
            descriptor::DATA | descriptor::AMQP_SEQUENCE | descriptor::AMQP_VALUE => self.take_body(section, value)?,
            _ => return Err(DecodeError::Descriptor),
        }
        Ok(())
    }

    fn take_body(&mut self, section: u64, value: Value) -> Result<(), DecodeError> {
        match (section, value, &mut self.body) {
            (descriptor::DATA, Value::Binary(bytes), Body::Data(sections)) => sections.push(bytes),
            (descriptor::DATA, Value::Binary(bytes), body @ Body::Empty) => *body = Body::Data(vec![bytes]),
            (descriptor::AMQP_SEQUENCE, Value::List(list), Body::Sequence(lists)) => lists.push(list),
            (descriptor::AMQP_SEQUENCE, Value::List(list), body @ Body::Empty) => *body = Body::Sequence(vec![list]),
            (descriptor::AMQP_VALUE, value, body @ Body::Empty) => *body = Body::Value(value),
            _ => return Err(DecodeError::Sections),
        }
        Ok(())
    }

    /// Encodes the message; absent and empty sections are left out.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        if let Some(header) = &self.header {
            encode_value(&header.to_value(), &mut out);
        }
        let maps =
            [(descriptor::DELIVERY_ANNOTATIONS, &self.delivery_annotations), (descriptor::MESSAGE_ANNOTATIONS, &self.message_annotations)];
        maps.into_iter().for_each(|(section, map)| put_map(section, map, &mut out));
        if self.properties != Properties::default() {
            encode_value(&self.properties.to_value(), &mut out);
        }
        put_map(descriptor::APPLICATION_PROPERTIES, &self.application_properties, &mut out);
        let mut put = |section, value| encode_value(&Value::described(section, value), &mut out);
        match &self.body {
            Body::Empty => {}
            Body::Data(sections) => sections.iter().for_each(|bytes| put(descriptor::DATA, bytes.clone().into())),
            Body::Value(value) => put(descriptor::AMQP_VALUE, value.clone()),
            Body::Sequence(lists) => lists.iter().for_each(|list| put(descriptor::AMQP_SEQUENCE, list.clone().into())),
        }
        put_map(descriptor::FOOTER, &self.footer, &mut out);
        out.freeze()
    }
}

/// Whether a message may have several of these sections.
fn may_repeat(section: u64) -> bool {
    matches!(section, descriptor::DATA | descriptor::AMQP_SEQUENCE)
}

fn put_map(section: u64, map: &Map, out: &mut BytesMut) {
    if let value @ Value::Map(_) = map_or_null(map.clone()) {
        encode_value(&Value::described(section, value), out);
    }
}

fn map(value: Value) -> Result<Map, DecodeError> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(DecodeError::Sections),
    }
}

impl Header {
    fn decode(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            durable: fields.or_default("durable")?,
            priority: fields.optional("priority")?.unwrap_or(4),
            ttl_ms: fields.optional("ttl")?,
            first_acquirer: fields.or_default("first-acquirer")?,
            delivery_count: fields.or_default("delivery-count")?,
        })
    }

    fn to_value(&self) -> Value {
        let fields =
            vec![self.durable.into(), self.priority.into(), self.ttl_ms.into(), self.first_acquirer.into(), self.delivery_count.into()];
        composite(descriptor::HEADER, fields)
    }
}

impl Properties {
    fn decode(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value)?;
        let present = |value: Value| (value != Value::Null).then_some(value);
        Ok(Self {
            message_id: present(fields.raw()),
            user_id: fields.optional("user-id")?,
            to: fields.optional("to")?,
            subject: fields.optional("subject")?,
            reply_to: fields.optional("reply-to")?,
            correlation_id: present(fields.raw()),
            content_type: fields.optional("content-type")?,
            content_encoding: fields.optional("content-encoding")?,
            absolute_expiry_time_ms: fields.optional("absolute-expiry-time")?.map(|Timestamp(ms)| ms),
            creation_time_ms: fields.optional("creation-time")?.map(|Timestamp(ms)| ms),
            group_id: fields.optional("group-id")?,
            group_sequence: fields.optional("group-sequence")?,
            reply_to_group_id: fields.optional("reply-to-group-id")?,
        })
    }

    fn to_value(&self) -> Value {
        let timestamp = |ms: Option<i64>| ms.map_or(Value::Null, Value::Timestamp);
        let fields = vec![
            self.message_id.clone().into(),
            self.user_id.clone().into(),
            self.to.clone().into(),
            self.subject.clone().into(),
            self.reply_to.clone().into(),
            self.correlation_id.clone().into(),
            self.content_type.clone().into(),
            self.content_encoding.clone().into(),
            timestamp(self.absolute_expiry_time_ms),
            timestamp(self.creation_time_ms),
            self.group_id.clone().into(),
            self.group_sequence.into(),
            self.reply_to_group_id.clone().into(),
        ];
        composite(descriptor::PROPERTIES, fields)
    }
}
