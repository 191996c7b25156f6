//! What a connection tells its driver, on either side.

use std::fmt;

use crate::{
    codec::{
        DecodeError,
        message::Message,
        performative::{AmqpError, DeliveryState, Role},
        types::{Map, SecretBytes, Symbol},
    },
    sasl::SaslCode,
};

/// A link of one connection. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

/// A message on its way, in either direction. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delivery {
    pub(crate) link: LinkId,
    pub(crate) number: u64,
}

impl Delivery {
    /// The link it takes.
    pub const fn link(self) -> LinkId {
        self.link
    }
}

/// Something the driver must know or decide.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Server only: a client chose a mechanism. Answer with `sasl_challenge` or `sasl_outcome`. Comes at most once, and never where
    /// the client speaks AMQP without SASL.
    SaslInit {
        /// One of those offered.
        mechanism: Symbol,
        /// What the mechanism begins with.
        initial_response: SecretBytes,
        /// Whom the client means to speak to.
        hostname: Option<String>,
    },
    /// Server only: the client's next step. Answer as above.
    SaslResponse(SecretBytes),
    /// Client only: the server's next step. Answer with `sasl_response`.
    SaslChallenge(SecretBytes),
    /// The peer opened the connection. It is answered already.
    Open {
        /// Who the peer says it is.
        container_id: String,
        /// Whom it means to speak to.
        hostname: Option<String>,
    },
    /// A link. Server: the client asks for it, answer with `accept_attach` or `refuse_attach`. Client: the server has agreed to it.
    Attached(Box<Attached>),
    /// A message came, on a link of which the peer is the sender: `accept` or `reject` it.
    Message {
        /// For the answer.
        delivery: Delivery,
        /// What came.
        message: Box<Message>,
    },
    /// The peer said what became of a message.
    Settled {
        /// As `send` returned it.
        delivery: Delivery,
        /// `None` if the peer did not say.
        state: Option<DeliveryState>,
    },
    /// A link has ended from the peer's side, for this or with its session. It is answered already.
    Detached {
        /// Which.
        link: LinkId,
        /// Why, unless all is well.
        error: Option<AmqpError>,
    },
    /// The connection has ended. The last event.
    Closed(Close),
}

/// A link as the peer described it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attached {
    /// Its name for all calls.
    pub link: LinkId,
    /// Which end the **peer** is.
    pub role: Role,
    /// The link's name.
    pub name: String,
    /// Where messages come from, if that is a text.
    pub source: Option<String>,
    /// Where they go, if that is a text.
    pub target: Option<String>,
    /// Link properties.
    pub properties: Map,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Close {
    /// The peer closed it, and why unless all was well.
    ByPeer(Option<AmqpError>),
    /// This side's own decision.
    ByDriver,
    /// The stream is gone.
    Lost,
    /// SASL ended with this code.
    Sasl(SaslCode),
    /// The peer's first bytes are of another protocol or version.
    Protocol,
    /// A frame or value that breaks the protocol.
    Malformed(DecodeError),
    /// A frame that has no place where it came, and why.
    Unexpected(&'static str),
    /// A message larger than the link takes.
    MessageTooLarge,
    /// More of these than allowed.
    TooMany(&'static str),
    /// The peer takes smaller frames than an answer needs.
    PeerFrameTooSmall,
    /// The connection was not opened in time.
    OpenTimeout,
    /// Nothing was heard for too long.
    Idle,
    /// The peer does not read what it is sent.
    SlowReader,
}

impl Close {
    /// What the peer is told (sections 2.8.15 to 2.8.18); `None` where there is nobody to tell or nothing to say.
    pub(crate) fn to_error(&self) -> Option<AmqpError> {
        let condition = match self {
            Self::ByPeer(_) | Self::ByDriver | Self::Lost | Self::Sasl(_) | Self::Protocol | Self::OpenTimeout => return None,
            Self::Malformed(DecodeError::TooLarge | DecodeError::FrameHeader) => "amqp:connection:framing-error",
            Self::Malformed(_) => "amqp:decode-error",
            Self::Unexpected(_) => "amqp:not-allowed",
            Self::MessageTooLarge => "amqp:link:message-size-exceeded",
            Self::PeerFrameTooSmall => "amqp:frame-size-too-small",
            Self::TooMany(_) | Self::Idle | Self::SlowReader => "amqp:resource-limit-exceeded",
        };
        Some(AmqpError::new(condition, self.to_string()))
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer(None) => f.write_str("closed by the peer"),
            Self::ByPeer(Some(error)) => write!(f, "closed by the peer: {}", error.condition.as_str()),
            Self::ByDriver => f.write_str("closed by this side"),
            Self::Lost => f.write_str("the connection was lost"),
            Self::Sasl(code) => write!(f, "SASL ended with {code:?}"),
            Self::Protocol => f.write_str("the peer speaks another protocol or version (AMQP 2.2)"),
            Self::Malformed(error) => write!(f, "malformed: {error}"),
            Self::Unexpected(what) => f.write_str(what),
            Self::MessageTooLarge => f.write_str("a message is larger than the link takes"),
            Self::TooMany(what) => write!(f, "too many {what}"),
            Self::PeerFrameTooSmall => f.write_str("the peer takes smaller frames than an answer needs"),
            Self::OpenTimeout => f.write_str("the connection was not opened in time"),
            Self::Idle => f.write_str("nothing was heard for longer than the idle time-out (AMQP 2.4.5)"),
            Self::SlowReader => f.write_str("the peer does not read what it is sent"),
        }
    }
}

impl From<DecodeError> for Close {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// Why a message or a link cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The link is not there, not accepted, or leads the other way; or the connection is not open.
    NotAttached,
    /// Too much waits for the peer already.
    QueueFull,
    /// Larger than the peer takes on this link.
    TooLarge,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAttached => "there is no such link to send on",
            Self::QueueFull => "the peer's queue is full",
            Self::TooLarge => "the message is larger than the peer takes",
        })
    }
}

impl std::error::Error for SendError {}
