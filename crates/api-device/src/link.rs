//! A protocol engine on a stream: turns the crank of an MQTT session or an AMQP connection and gives its events one by one.

use std::{io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep_until, timeout},
};
use usher_mqtt::server as mqtt;

/// Bytes read in one go.
const READ_BYTES: usize = 4 * 1024;
/// Time for a peer to take what it is sent.
const WRITE_MAX: Duration = Duration::from_secs(30);

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

impl Machine for mqtt::Session {
    type Event = mqtt::Event;

    fn handle_bytes(&mut self, bytes: &[u8], now_ms: u64) {
        self.handle_bytes(bytes, now_ms);
    }

    fn poll_event(&mut self) -> Option<mqtt::Event> {
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

/// An engine and its stream.
pub struct Link<M, IO> {
    io: IO,
    machine: M,
    started: Instant,
}

impl<M: Machine, IO: AsyncRead + AsyncWrite + Unpin> Link<M, IO> {
    /// An engine whose clock stands at 0, on a fresh stream.
    pub fn new(io: IO, machine: M) -> Self {
        Self { io, machine, started: Instant::now() }
    }

    /// The engine, to answer events.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The parts, for another driver to go on with. The engine's clock counts milliseconds from the instant.
    pub fn into_parts(self) -> (IO, M, Instant) {
        (self.io, self.machine, self.started)
    }

    /// The next event; `None` once the engine is done and everything is written. Safe to drop and call again.
    pub async fn next_event(&mut self) -> Option<M::Event> {
        let mut buffer = [0_u8; READ_BYTES];
        loop {
            if let Some(event) = self.machine.poll_event() {
                return Some(event);
            }
            if self.flush().await.is_err() {
                self.machine.handle_lost();
                continue;
            }
            if self.machine.is_closed() {
                return None;
            }
            let due = self.machine.poll_timeout().map(|due_ms| self.started + Duration::from_millis(due_ms));
            tokio::select! {
                read = self.io.read(&mut buffer) => self.take(read, &buffer),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let now_ms = self.now_ms();
                    self.machine.handle_timeout(now_ms);
                }
            }
        }
    }

    fn take(&mut self, read: io::Result<usize>, buffer: &[u8]) {
        match read {
            Ok(0) | Err(_) => self.machine.handle_lost(),
            Ok(n) => {
                let now_ms = self.now_ms();
                self.machine.handle_bytes(buffer.get(..n).unwrap_or_default(), now_ms);
            }
        }
    }

    /// Writes what the engine has to say.
    pub async fn flush(&mut self) -> io::Result<()> {
        let mut wrote = false;
        while let Some(bytes) = self.machine.poll_transmit() {
            timeout(WRITE_MAX, self.io.write_all(&bytes)).await??;
            wrote = true;
        }
        if wrote {
            timeout(WRITE_MAX, self.io.flush()).await??;
        }
        Ok(())
    }

    /// Writes what is left and closes the stream.
    pub async fn finish(mut self) {
        // The peer may be gone already; there is nobody to tell.
        let _ = self.flush().await;
        let _ = timeout(WRITE_MAX, self.io.shutdown()).await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
