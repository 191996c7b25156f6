//! A session on a stream: turns the crank of the sans-I/O session and gives its events one by one.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep_until, timeout},
};
use usher_mqtt::server::{Event, Limits, Session};

/// Bytes read in one go.
const READ_BYTES: usize = 4 * 1024;
/// Time for a peer to take what it is sent.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// A session and its stream.
pub struct Link<IO> {
    io: IO,
    session: Session,
    started: Instant,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Link<IO> {
    /// A session on a fresh stream.
    pub fn new(io: IO, limits: Limits) -> Self {
        Self { io, session: Session::new(limits, 0), started: Instant::now() }
    }

    /// The session, to answer events.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The parts, for another driver to go on with. The session's clock counts milliseconds from the instant.
    pub fn into_parts(self) -> (IO, Session, Instant) {
        (self.io, self.session, self.started)
    }

    /// The next event; `None` once the session is over and everything is written. Safe to drop and call again.
    pub async fn next_event(&mut self) -> Option<Event> {
        let mut buffer = [0_u8; READ_BYTES];
        loop {
            if let Some(event) = self.session.poll_event() {
                return Some(event);
            }
            if self.flush().await.is_err() {
                self.session.handle_lost();
                continue;
            }
            if self.session.is_closed() {
                return None;
            }
            let due = self.session.poll_timeout().map(|due_ms| self.started + Duration::from_millis(due_ms));
            tokio::select! {
                read = self.io.read(&mut buffer) => self.take(read, &buffer),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let now_ms = self.now_ms();
                    self.session.handle_timeout(now_ms);
                }
            }
        }
    }

    fn take(&mut self, read: io::Result<usize>, buffer: &[u8]) {
        match read {
            Ok(0) | Err(_) => self.session.handle_lost(),
            Ok(n) => {
                let now_ms = self.now_ms();
                self.session.handle_bytes(buffer.get(..n).unwrap_or_default(), now_ms);
            }
        }
    }

    /// Writes what the session has to say.
    pub async fn flush(&mut self) -> io::Result<()> {
        let mut wrote = false;
        while let Some(bytes) = self.session.poll_transmit() {
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
