//! Open, begin, end and close (sections 2.7.1, 2.7.2, 2.7.8 and 2.7.9).

use super::{
    super::{
        DecodeError, descriptor,
        fields::{Fields, composite, map_or_null},
        types::{Map, Value},
    },
    AmqpError,
};

/// Opens a connection. Locales and capabilities are neither sent nor read: nothing here depends on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// Who speaks.
    pub container_id: String,
    /// Whom they mean to speak to.
    pub hostname: Option<String>,
    /// The largest frame the sender takes, in bytes.
    pub max_frame_size: u32,
    /// The highest channel the sender takes.
    pub channel_max: u16,
    /// The sender gives up after this silence, in milliseconds.
    pub idle_time_out_ms: Option<u32>,
    /// Connection properties.
    pub properties: Map,
}

impl Open {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            container_id: fields.mandatory("container-id")?,
            hostname: fields.optional("hostname")?,
            max_frame_size: fields.optional("max-frame-size")?.unwrap_or(u32::MAX),
            channel_max: fields.optional("channel-max")?.unwrap_or(u16::MAX),
            idle_time_out_ms: fields.optional("idle-time-out")?,
            properties: {
                fields.skip(4);
                fields.or_default("properties")?
            },
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let mut fields = vec![
            self.container_id.clone().into(),
            self.hostname.clone().into(),
            self.max_frame_size.into(),
            self.channel_max.into(),
            self.idle_time_out_ms.into(),
        ];
        fields.extend([Value::Null, Value::Null, Value::Null, Value::Null, map_or_null(self.properties.clone())]);
        composite(descriptor::OPEN, fields)
    }
}

/// Begins a session on the channel of its frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The peer's channel, in an answer.
    pub remote_channel: Option<u16>,
    /// The first transfer's number.
    pub next_outgoing_id: u32,
    /// Transfers the sender takes.
    pub incoming_window: u32,
    /// Transfers the sender may send.
    pub outgoing_window: u32,
    /// The highest handle the sender takes.
    pub handle_max: u32,
}

impl Begin {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            remote_channel: fields.optional("remote-channel")?,
            next_outgoing_id: fields.mandatory("next-outgoing-id")?,
            incoming_window: fields.mandatory("incoming-window")?,
            outgoing_window: fields.mandatory("outgoing-window")?,
            handle_max: fields.optional("handle-max")?.unwrap_or(u32::MAX),
        })
    }

    pub(super) fn to_value(&self) -> Value {
        let fields = vec![
            self.remote_channel.into(),
            self.next_outgoing_id.into(),
            self.incoming_window.into(),
            self.outgoing_window.into(),
            self.handle_max.into(),
        ];
        composite(descriptor::BEGIN, fields)
    }
}

/// Ends a session.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Why, unless all is well.
    pub error: Option<AmqpError>,
}

/// Closes the connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// Why, unless all is well.
    pub error: Option<AmqpError>,
}
