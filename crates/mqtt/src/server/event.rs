//! What a session tells its driver.

use std::fmt;

use crate::{
    codec::DecodeError,
    packet::{Connect, ConnectCode, Publish, Qos},
};

/// Something the driver must know or decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client asks to be accepted: answer with `accept` or `refuse`.
    Connect(Box<Connect>),
    /// A message came: `acknowledge` it once it is taken for good.
    Publish(Publish),
    /// The client wants messages: answer with `grant`.
    Subscribe {
        /// For the answer.
        packet_id: u16,
        /// Filters with the level asked for.
        filters: Vec<(String, Qos)>,
    },
    /// The client wants no more of these. It is answered already.
    Unsubscribe {
        /// The filters.
        filters: Vec<String>,
    },
    /// The client has a message for good.
    Delivered {
        /// As `publish` returned it.
        packet_id: u16,
    },
    /// The session has ended. The last event.
    Closed(Close),
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client said goodbye.
    Disconnected,
    /// The connection is gone.
    Lost,
    /// The server's own decision.
    ByServer,
    /// The client was refused.
    Refused(ConnectCode),
    /// A packet breaks the protocol.
    Malformed(DecodeError),
    /// The first packet was not CONNECT (section 3.1).
    ConnectExpected,
    /// CONNECT came twice (section 3.1).
    SecondConnect,
    /// A packet that only a server sends, or one without a place here.
    Unexpected,
    /// A message of level 2.
    ExactlyOnce,
    /// CONNECT did not come in time.
    ConnectTimeout,
    /// Nothing came for one and a half times the client's keep-alive.
    KeepAlive,
    /// The client does not read what it is sent.
    SlowReader,
}

impl Close {
    /// Whether the client ended the session as it should; otherwise its will applies.
    pub fn is_clean(self) -> bool {
        self == Self::Disconnected
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("the client disconnected"),
            Self::Lost => f.write_str("the connection was lost"),
            Self::ByServer => f.write_str("closed by the server"),
            Self::Refused(code) => write!(f, "the client was refused: {code:?}"),
            Self::Malformed(error) => write!(f, "a malformed packet: {error}"),
            Self::ConnectExpected => f.write_str("the first packet was not CONNECT (MQTT 3.1)"),
            Self::SecondConnect => f.write_str("a second CONNECT (MQTT 3.1)"),
            Self::Unexpected => f.write_str("a packet that a client may not send here"),
            Self::ExactlyOnce => f.write_str("a message of quality of service 2, which is not supported"),
            Self::ConnectTimeout => f.write_str("CONNECT did not come in time"),
            Self::KeepAlive => f.write_str("nothing was heard for one and a half keep-alive intervals (MQTT 3.1.2.10)"),
            Self::SlowReader => f.write_str("the client does not read what it is sent"),
        }
    }
}

/// Why a message was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The client is not accepted yet, or gone.
    NotConnected,
    /// The client acknowledges or reads too slowly; it may be tried again after [`Event::Delivered`] or a write.
    QueueFull,
    /// The topic is empty, too long or holds wildcards (section 4.7.3). Trying again does not help.
    Topic,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotConnected => "the client is not connected",
            Self::QueueFull => "the client's queue is full",
            Self::Topic => "the topic is not one to publish to (MQTT 4.7.3)",
        })
    }
}

impl std::error::Error for PublishError {}
