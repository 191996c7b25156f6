//! What protocol engines have in common.

use bytes::Bytes;

/// The verbs of a sans-I/O engine. Times are milliseconds since the connection began.
pub trait Machine {
    /// What it tells.
    type Event;
    /// Takes bytes that arrived.
    fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64);
    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<Self::Event>;
    /// Bytes to write.
    fn poll_transmit(&mut self) -> Option<Bytes>;
    /// When `handle_timeout` is due.
    fn poll_timeout(&self) -> Option<u64>;
    /// Acts on the time.
    fn handle_timeout(&mut self, now_ms: u64);
    /// The stream is gone.
    fn handle_lost(&mut self);
    /// Whether nothing more will happen.
    fn is_closed(&self) -> bool;
}

/// The verbs of an engine that has them all by the same names.
macro_rules! machine {
    ($session:ty, $event:ty) => {
        impl Machine for $session {
            type Event = $event;

            fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
                self.handle_bytes(bytes, now_ms);
            }

            fn poll_event(&mut self) -> Option<Self::Event> {
                self.poll_event()
            }

            fn poll_transmit(&mut self) -> Option<Bytes> {
                self.poll_transmit()
            }

            fn poll_timeout(&self) -> Option<u64> {
                self.poll_timeout()
            }

            fn handle_timeout(&mut self, now_ms: u64) {
                self.handle_timeout(now_ms);
            }

            fn handle_lost(&mut self) {
                self.handle_lost();
            }

            fn is_closed(&self) -> bool {
                self.is_closed()
            }
        }
    };
}

machine!(usher_mqtt::server::Session, usher_mqtt::server::Event);
machine!(usher_amqp::server::Session, usher_amqp::event::Event);
machine!(usher_amqp::client::Session, usher_amqp::event::Event);

/// MQTT's client leaves the clock to its driver.
impl Machine for usher_mqtt::client::Session {
    type Event = usher_mqtt::client::Event;

    fn handle_bytes(&mut self, bytes: &[u8], _now_ms: u64) {
        self.handle_bytes(bytes);
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.poll_event()
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<u64> {
        None
    }

    fn handle_timeout(&mut self, _now_ms: u64) {}

    fn handle_lost(&mut self) {
        self.handle_lost();
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }
}
