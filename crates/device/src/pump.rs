//! A client's session on a stream, asked for one event after the other.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use usher_wire::{Broken, Machine, Wire};

use crate::Failure;

/// Time for any one answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A client's session on a stream.
pub struct Pump<M, IO> {
    /// To ask things of the server; what it says comes as events.
    pub session: M,
    wire: Wire<IO>,
}

impl<M: Machine, IO: AsyncRead + AsyncWrite + Unpin> Pump<M, IO> {
    /// A session whose clock stands at 0, on a fresh stream.
    pub fn new(io: IO, session: M) -> Self {
        Self { session, wire: Wire::new(io, Instant::now()) }
    }

    /// The next event; an error where none comes in time.
    pub async fn event(&mut self, step: &'static str) -> Result<M::Event, Failure> {
        let event = timeout(ANSWER_MAX, self.next_event(step)).await;
        event.unwrap_or_else(|_| Err(Failure::new(step, "no answer in time", "See the server's log.")))
    }

    async fn next_event(&mut self, step: &'static str) -> Result<M::Event, Failure> {
        loop {
            if let Some(event) = self.session.poll_event() {
                return Ok(event);
            }
            self.wire.turn(&mut self.session).await.map_err(|broken| match broken {
                Broken::Failed(why) => Failure::network(step, &why),
                Broken::Ended => Failure::new(step, broken.to_string(), "The server closed it on purpose: its log names the failed check."),
                Broken::Unread => Failure::new(step, broken.to_string(), "See the server's log."),
            })?;
        }
    }

    /// Writes the goodbye that the session has said. The answer is in hand; whether the goodbye arrives does not matter.
    pub async fn close(mut self) {
        self.wire.finish(&mut self.session).await;
    }
}
