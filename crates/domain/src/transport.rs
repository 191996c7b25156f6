//! How a device reaches the endpoint.

/// How a device reaches the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS.
    Https,
    /// MQTT over TLS.
    Mqtt,
    /// MQTT over WebSocket.
    MqttWs,
    /// AMQP over TLS.
    Amqp,
    /// AMQP over WebSocket.
    AmqpWs,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Https, Self::Mqtt, Self::MqttWs, Self::Amqp, Self::AmqpWs];

    /// The name in logs, in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Mqtt => "mqtt",
            Self::MqttWs => "mqtt-ws",
            Self::Amqp => "amqp",
            Self::AmqpWs => "amqp-ws",
        }
    }

    /// The transport by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(name))
    }

    /// Whether it has a port of its own; the others share that of HTTPS.
    pub fn has_own_port(self) -> bool {
        matches!(self, Self::Mqtt | Self::Amqp)
    }
}
