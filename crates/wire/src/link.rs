//! An engine and its stream together: turns the crank and gives the engine's events one by one.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use crate::{Machine, Wire};

/// An engine and its stream.
pub struct Link<M, IO> {
    wire: Wire<IO>,
    machine: M,
}

impl<M: Machine, IO: AsyncRead + AsyncWrite + Unpin> Link<M, IO> {
    /// An engine whose clock stands at 0, on a fresh stream.
    pub fn new(io: IO, machine: M) -> Self {
        Self { wire: Wire::new(io, Instant::now()), machine }
    }

    /// The engine, to answer events.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The parts, for another driver to go on with.
    pub fn into_parts(self) -> (Wire<IO>, M) {
        (self.wire, self.machine)
    }

    /// The next event; `None` once the engine is done and everything is written. Safe to drop and call again.
    pub async fn next_event(&mut self) -> Option<M::Event> {
        loop {
            if let Some(event) = self.machine.poll_event() {
                return Some(event);
            }
            if self.machine.is_closed() {
                // Whoever is gone does not miss it.
                let _ = self.flush().await;
                return None;
            }
            if self.wire.turn(&mut self.machine).await.is_err() {
                self.machine.handle_lost();
            }
        }
    }

    /// Writes what the engine has to say.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.wire.flush(&mut self.machine).await
    }

    /// Writes what is left and closes the stream.
    pub async fn finish(mut self) {
        self.wire.finish(&mut self.machine).await;
    }
}
