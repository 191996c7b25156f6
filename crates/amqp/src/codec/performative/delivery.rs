//! Transfer and disposition (sections 2.7.5 and 2.7.6), and the states of a delivery (section 3.4).

use bytes::Bytes;

use super::{
    super::{
        DecodeError, descriptor,
        fields::{Field, Fields, composite, map_or_null},
        types::{Map, Value},
    },
    AmqpError, Role, error_or_null,
};

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum DeliveryState {
    /// A part has arrived; not an end. Its figures only serve resumption and are dropped.
    Received,
    /// Taken.
    Accepted,
    /// Invalid, and why.
    Rejected(Option<AmqpError>),
    /// Not taken; may be sent again unchanged.
    Released,
    /// Not taken; may be sent again changed.
    Modified {
        /// Count it as a failed delivery.
        delivery_failed: bool,
        /// Do not send it here again.
        undeliverable_here: bool,
        /// To be merged into the message's annotations.
        message_annotations: Map,
    },
    /// A state of an extension, such as a transaction's.
    Other(Value),
}

impl DeliveryState {
    /// Whether it is an outcome (section 3.4): nothing follows it.
    pub const fn is_terminal(&self) -> bool {
        !matches!(self, Self::Received | Self::Other(_))
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Received => composite(descriptor::RECEIVED, vec![0_u32.into(), 0_u64.into()]),
            Self::Accepted => composite(descriptor::ACCEPTED, Vec::new()),
            Self::Rejected(error) => composite(descriptor::REJECTED, vec![error_or_null(error.as_ref())]),
            Self::Released => composite(descriptor::RELEASED, Vec::new()),
            Self::Modified { delivery_failed, undeliverable_here, message_annotations } => composite(
                descriptor::MODIFIED,
                vec![(*delivery_failed).into(), (*undeliverable_here).into(), map_or_null(message_annotations.clone())],
            ),
            Self::Other(value) => value.clone(),
        }
    }

    fn known(code: u64, fields: &mut Fields) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match code {
            descriptor::RECEIVED => Self::Received,
            descriptor::ACCEPTED => Self::Accepted,
            descriptor::REJECTED => Self::Rejected(fields.optional("error")?),
            descriptor::RELEASED => Self::Released,
            descriptor::MODIFIED => Self::Modified {
                delivery_failed: fields.or_default("delivery-failed")?,
                undeliverable_here: fields.or_default("undeliverable-here")?,
                message_annotations: fields.or_default("message-annotations")?,
            },
            _ => return Ok(None),
        }))
    }
}

impl Field for DeliveryState {
    fn from_value(value: Value) -> Option<Self> {
        let Value::Described(described) = &value else { return None };
        if let (Value::Ulong(code), Value::List(list)) = (&described.descriptor, &described.value) {
            let mut fields = Fields::of(Value::List(list.clone())).ok()?;
            if let Some(state) = Self::known(*code, &mut fields).ok()? {
                return Some(state);
            }
        }
        Some(Self::Other(value))
    }
}

fn state_or_null(state: Option<&DeliveryState>) -> Value {
    state.map_or(Value::Null, DeliveryState::to_value)
}

/// Carries a message or a part of it, which follows the performative in its frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transfer {
    /// The sender's number of the link.
    pub handle: u32,
    /// The delivery's number in the session; in its first frame.
    pub delivery_id: Option<u32>,
    /// The delivery's name on the link; in its first frame.
    pub delivery_tag: Option<Bytes>,
    /// 0 for the messages of part 3.
    pub message_format: Option<u32>,
    /// No outcome is awaited.
    pub settled: Option<bool>,
    /// More frames follow.
    pub more: bool,
    /// The sender gives the delivery up; its parts are void.
    pub aborted: bool,
}

impl Transfer {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            handle: fields.mandatory("handle")?,
            delivery_id: fields.optional("delivery-id")?,
            delivery_tag: fields.optional("delivery-tag")?,
            message_format: fields.optional("message-format")?,
            settled: fields.optional("settled")?,
            more: fields.or_default("more")?,
            aborted: {
                fields.skip(3);
                fields.or_default("aborted")?
            },
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut fields = vec![
            self.handle.into(),
            self.delivery_id.into(),
            self.delivery_tag.clone().into(),
            self.message_format.into(),
            self.settled.into(),
            self.more.into(),
        ];
        fields.extend([Value::Null, Value::Null, Value::Null, Value::from(self.aborted.then_some(true))]);
        composite(descriptor::TRANSFER, fields)
    }
}

/// Tells what became of deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct Disposition {
    /// The end of the link that speaks.
    pub role: Role,
    /// The first delivery's number.
    pub first: u32,
    /// The last one's; the first's if absent.
    pub last: Option<u32>,
    /// The speaker forgets them.
    pub settled: bool,
    /// What became of them.
    pub state: Option<DeliveryState>,
}

impl Disposition {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            role: fields.mandatory("role")?,
            first: fields.mandatory("first")?,
            last: fields.optional("last")?,
            settled: fields.or_default("settled")?,
            state: fields.optional("state")?,
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let fields = vec![self.role.into(), self.first.into(), self.last.into(), self.settled.into(), state_or_null(self.state.as_ref())];
        composite(descriptor::DISPOSITION, fields)
    }
}
