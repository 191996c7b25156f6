//! Attach, flow and detach (sections 2.7.3, 2.7.4 and 2.7.7), and the two ends of a link (section 3.5).

use super::{
    super::{
        DecodeError, descriptor,
        fields::{Field, Fields, composite, map_or_null},
        types::{Map, Value},
    },
    AmqpError, error_or_null,
};

/// Which end of a link (section 2.8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Messages leave here.
    Sender,
    /// Messages arrive here.
    Receiver,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

impl Field for Role {
    fn from_value(value: Value) -> Option<Self> {
        bool::from_value(value).map(|receiver| if receiver { Self::Receiver } else { Self::Sender })
    }
}

impl From<Role> for Value {
    fn from(role: Role) -> Self {
        Self::Boolean(role == Role::Receiver)
    }
}

/// A source, a target or a coordinator, kept whole so that it can be echoed as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Terminus(Value);

impl Terminus {
    /// A source with only an address (section 3.5.3).
    pub fn source(address: impl Into<String>) -> Self {
        Self(composite(descriptor::SOURCE, vec![address.into().into()]))
    }

    /// A target with only an address (section 3.5.4).
    pub fn target(address: impl Into<String>) -> Self {
        Self(composite(descriptor::TARGET, vec![address.into().into()]))
    }

    /// The address, where it is a text. A transaction coordinator has none, nor has a node that is to be made up by the peer.
    pub fn address(&self) -> Option<&str> {
        let Value::Described(described) = &self.0 else { return None };
        let (Value::Ulong(descriptor::SOURCE | descriptor::TARGET), Value::List(fields)) = (&described.descriptor, &described.value) else {
            return None;
        };
        fields.first().and_then(Value::as_str)
    }
}

impl Field for Terminus {
    fn from_value(value: Value) -> Option<Self> {
        matches!(value, Value::Described(_)).then_some(Self(value))
    }
}

/// Attaches a link. Unsettled deliveries of an earlier attachment are ignored: links are not resumed here.
#[derive(Clone, Debug, PartialEq)]
pub struct Attach {
    /// The link's name.
    pub name: String,
    /// The number the sender gives it.
    pub handle: u32,
    /// The sender's end.
    pub role: Role,
    /// 0 unsettled, 1 settled, 2 mixed (section 2.8.2).
    pub snd_settle_mode: u8,
    /// 0 first, 1 second (section 2.8.3).
    pub rcv_settle_mode: u8,
    /// Where messages come from.
    pub source: Option<Terminus>,
    /// Where they go.
    pub target: Option<Terminus>,
    /// Deliveries already counted; the sending end must tell.
    pub initial_delivery_count: Option<u32>,
    /// The largest message the sender takes, in bytes; 0 for any.
    pub max_message_size: u64,
    /// Link properties.
    pub properties: Map,
}

impl Attach {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            name: fields.mandatory("name")?,
            handle: fields.mandatory("handle")?,
            role: fields.mandatory("role")?,
            snd_settle_mode: fields.optional("snd-settle-mode")?.unwrap_or(2),
            rcv_settle_mode: fields.or_default("rcv-settle-mode")?,
            source: fields.optional("source")?,
            target: fields.optional("target")?,
            initial_delivery_count: {
                fields.skip(2);
                fields.optional("initial-delivery-count")?
            },
            max_message_size: fields.or_default("max-message-size")?,
            properties: {
                fields.skip(2);
                fields.or_default("properties")?
            },
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let terminus = |terminus: &Option<Terminus>| terminus.as_ref().map_or(Value::Null, |terminus| terminus.0.clone());
        let size = (self.max_message_size > 0).then_some(self.max_message_size);
        let mut fields = vec![
            self.name.clone().into(),
            self.handle.into(),
            self.role.into(),
            self.snd_settle_mode.into(),
            self.rcv_settle_mode.into(),
            terminus(&self.source),
            terminus(&self.target),
        ];
        fields.extend([Value::Null, Value::Null, self.initial_delivery_count.into(), size.into()]);
        fields.extend([Value::Null, Value::Null, map_or_null(self.properties.clone())]);
        composite(descriptor::ATTACH, fields)
    }
}

/// Tells windows and credit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The next transfer expected; unknown before the peer's begin.
    pub next_incoming_id: Option<u32>,
    /// Transfers the sender takes.
    pub incoming_window: u32,
    /// The next transfer the sender sends.
    pub next_outgoing_id: u32,
    /// Transfers the sender may send.
    pub outgoing_window: u32,
    /// The link it is about, if any.
    pub handle: Option<u32>,
    /// Deliveries so far.
    pub delivery_count: Option<u32>,
    /// Deliveries the receiving end takes beyond them.
    pub link_credit: Option<u32>,
    /// Messages that wait at the sending end.
    pub available: Option<u32>,
    /// Use the credit up or give it back.
    pub drain: bool,
    /// Answer with a flow.
    pub echo: bool,
}

impl Flow {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            next_incoming_id: fields.optional("next-incoming-id")?,
            incoming_window: fields.mandatory("incoming-window")?,
            next_outgoing_id: fields.mandatory("next-outgoing-id")?,
            outgoing_window: fields.mandatory("outgoing-window")?,
            handle: fields.optional("handle")?,
            delivery_count: fields.optional("delivery-count")?,
            link_credit: fields.optional("link-credit")?,
            available: fields.optional("available")?,
            drain: fields.or_default("drain")?,
            echo: fields.or_default("echo")?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut fields = vec![
            self.next_incoming_id.into(),
            self.incoming_window.into(),
            self.next_outgoing_id.into(),
            self.outgoing_window.into(),
            self.handle.into(),
        ];
        fields.extend([self.delivery_count.into(), self.link_credit.into(), self.available.into()]);
        fields.extend([Value::from(self.drain.then_some(true)), Value::from(self.echo.then_some(true))]);
        composite(descriptor::FLOW, fields)
    }
}

/// Detaches a link.
#[derive(Clone, Debug, PartialEq)]
pub struct Detach {
    /// The sender's number of it.
    pub handle: u32,
    /// For good.
    pub closed: bool,
    /// Why, unless all is well.
    pub error: Option<AmqpError>,
}

impl Detach {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self { handle: fields.mandatory("handle")?, closed: fields.or_default("closed")?, error: fields.optional("error")? })
    }

    pub(super) fn to_value(&self) -> Value {
        composite(descriptor::DETACH, vec![self.handle.into(), self.closed.into(), error_or_null(self.error.as_ref())])
    }
}
