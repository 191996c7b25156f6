//! The packets of MQTT 3.1.1, as plain data. Both directions share them.

use bytes::Bytes;

/// Quality of service. Level 2 is decoded so that a session can refuse it by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// At most once.
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl Qos {
    /// The two bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }

    /// From the two bits on the wire; 3 is reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A client's first packet (section 3.1).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Connect {
    /// The protocol level; 4 is 3.1.1.
    pub level: u8,
    /// Who the client says it is.
    pub client_id: String,
    /// Whether it wants no earlier session.
    pub clean_session: bool,
    /// Seconds after which silence means loss; 0 for never.
    pub keep_alive_s: u16,
    /// What to publish in its name when it is lost.
    pub will: Option<Will>,
    /// The user name.
    pub user_name: Option<String>,
    /// The password: a secret, hence no `Debug`.
    pub password: Option<Bytes>,
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connect(client {:?}, user {:?}, password: {})", self.client_id, self.user_name, self.password.is_some())
    }
}

/// A client's will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// How.
    pub qos: Qos,
    /// Whether to retain it.
    pub retain: bool,
}

/// A server's answer to CONNECT (section 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectCode {
    /// Accepted.
    Accepted,
    /// The protocol level is not supported.
    BadProtocol,
    /// The client ID is not allowed.
    BadClientId,
    /// The service is not available now.
    Unavailable,
    /// The user name or password is malformed.
    BadCredentials,
    /// The client is not authorised.
    NotAuthorized,
}

impl ConnectCode {
    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::BadProtocol => 1,
            Self::BadClientId => 2,
            Self::Unavailable => 3,
            Self::BadCredentials => 4,
            Self::NotAuthorized => 5,
        }
    }

    /// From the byte on the wire.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Accepted),
            1 => Some(Self::BadProtocol),
            2 => Some(Self::BadClientId),
            3 => Some(Self::Unavailable),
            4 => Some(Self::BadCredentials),
            5 => Some(Self::NotAuthorized),
            _ => None,
        }
    }
}

/// A message (section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Whether it was sent before.
    pub dup: bool,
    /// How surely it is delivered.
    pub qos: Qos,
    /// Whether the server should keep it.
    pub retain: bool,
    /// Where to. Holds no wildcards.
    pub topic: String,
    /// 0 with [`Qos::AtMostOnce`], not 0 otherwise.
    pub packet_id: u16,
    /// What.
    pub payload: Bytes,
}

/// Any packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Section 3.1.
    Connect(Box<Connect>),
    /// Section 3.2.
    Connack {
        /// Whether the server kept an earlier session.
        session_present: bool,
        /// The answer.
        code: ConnectCode,
    },
    /// Section 3.3.
    Publish(Publish),
    /// Section 3.4.
    Puback(u16),
    /// Section 3.5.
    Pubrec(u16),
    /// Section 3.6.
    Pubrel(u16),
    /// Section 3.7.
    Pubcomp(u16),
    /// Section 3.8.
    Subscribe {
        /// Echoed in the answer.
        packet_id: u16,
        /// Filters with the quality asked for.
        filters: Vec<(String, Qos)>,
    },
    /// Section 3.9.
    Suback {
        /// The SUBSCRIBE's.
        packet_id: u16,
        /// The quality granted to each filter; `None` for a refusal.
        granted: Vec<Option<Qos>>,
    },
    /// Section 3.10.
    Unsubscribe {
        /// Echoed in the answer.
        packet_id: u16,
        /// The filters.
        filters: Vec<String>,
    },
    /// Section 3.11.
    Unsuback(u16),
    /// Section 3.12.
    Pingreq,
    /// Section 3.13.
    Pingresp,
    /// Section 3.14.
    Disconnect,
}
