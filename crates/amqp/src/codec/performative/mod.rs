//! Performatives: what peers say to each other about connections, sessions and links (section 2.7).

mod connection;
mod delivery;
mod link;

use bytes::{Bytes, BytesMut};

pub use connection::{Begin, Close, End, Open};
pub use delivery::{DeliveryState, Disposition, Transfer};
pub use link::{Attach, Detach, Flow, Role, Terminus};

use super::{
    DecodeError, Reader, descriptor, encode_value,
    fields::{Field, Fields, composite, map_or_null},
    types::{Map, Symbol, Value},
};

/// An error as peers tell it (section 2.8.14).
#[derive(Clone, Debug, PartialEq)]
pub struct AmqpError {
    /// A name such as `amqp:not-found`.
    pub condition: Symbol,
    /// Text for people; some protocols put JSON in it.
    pub description: Option<String>,
    /// More about it.
    pub info: Map,
}

impl AmqpError {
    /// An error without further information.
    pub fn new(condition: &str, description: impl Into<String>) -> Self {
        Self { condition: condition.into(), description: Some(description.into()), info: Map::new() }
    }

    pub(crate) fn to_value(&self) -> Value {
        let fields = vec![self.condition.clone().into(), self.description.clone().into(), map_or_null(self.info.clone())];
        composite(descriptor::ERROR, fields)
    }
}

impl Field for AmqpError {
    fn from_value(value: Value) -> Option<Self> {
        let (descriptor::ERROR, list) = value.into_described()? else { return None };
        let mut fields = Fields::of(list).ok()?;
        Some(Self {
            condition: fields.mandatory("condition").ok()?,
            description: fields.optional("description").ok()?,
            info: fields.or_default("info").ok()?,
        })
    }
}

/// Any performative.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the variants are the standard's performatives by their own names")]
pub enum Performative {
    Open(Open),
    Begin(Begin),
    Attach(Box<Attach>),
    Flow(Flow),
    Transfer(Transfer),
    Disposition(Disposition),
    Detach(Detach),
    End(End),
    Close(Close),
}

impl Performative {
    /// Decodes a frame's body: the performative and, behind a transfer, its payload.
    pub fn decode(body: Bytes) -> Result<(Self, Bytes), DecodeError> {
        let mut reader = Reader::new(body);
        let (code, list) = reader.value()?.into_described().ok_or(DecodeError::Descriptor)?;
        let mut fields = Fields::of(list)?;
        let fields = &mut fields;
        let performative = match code {
            descriptor::OPEN => Self::Open(Open::decode(fields)?),
            descriptor::BEGIN => Self::Begin(Begin::decode(fields)?),
            descriptor::ATTACH => Self::Attach(Box::new(Attach::decode(fields)?)),
            descriptor::FLOW => Self::Flow(Flow::decode(fields)?),
            descriptor::TRANSFER => Self::Transfer(Transfer::decode(fields)?),
            descriptor::DISPOSITION => Self::Disposition(Disposition::decode(fields)?),
            descriptor::DETACH => Self::Detach(Detach::decode(fields)?),
            descriptor::END => Self::End(End { error: fields.optional("error")? }),
            descriptor::CLOSE => Self::Close(Close { error: fields.optional("error")? }),
            _ => return Err(DecodeError::Descriptor),
        };
        let rest = reader.into_rest();
        if !rest.is_empty() && !matches!(performative, Self::Transfer(_)) {
            return Err(DecodeError::TrailingBytes);
        }
        Ok((performative, rest))
    }

    /// Appends it; a transfer's payload is the caller's to add.
    pub fn encode(&self, out: &mut BytesMut) {
        let value = match self {
            Self::Open(open) => open.to_value(),
            Self::Begin(begin) => begin.to_value(),
            Self::Attach(attach) => attach.to_value(),
            Self::Flow(flow) => flow.to_value(),
            Self::Transfer(transfer) => transfer.to_value(),
            Self::Disposition(disposition) => disposition.to_value(),
            Self::Detach(detach) => detach.to_value(),
            Self::End(end) => composite(descriptor::END, vec![error_or_null(end.error.as_ref())]),
            Self::Close(close) => composite(descriptor::CLOSE, vec![error_or_null(close.error.as_ref())]),
        };
        encode_value(&value, out);
    }
}

fn error_or_null(error: Option<&AmqpError>) -> Value {
    error.map_or(Value::Null, AmqpError::to_value)
}
