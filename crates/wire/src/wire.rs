//! A stream as an engine's driver needs it: one step at a time, with a limit on how long the peer may leave unread what it is sent.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    time::{Instant, sleep_until, timeout},
};

use crate::Machine;

/// Bytes read in one go.
const READ_BYTES: usize = 4 * 1024;
/// How long a peer may leave what it is sent unread, and how long a farewell may take.
const WRITE_MAX: Duration = Duration::from_secs(20);

/// Why a stream is of no use any more.
#[derive(Debug)]
pub enum Broken {
    /// The peer has closed it.
    Ended,
    /// Reading or writing failed.
    Failed(io::Error),
    /// The peer has read nothing for 20 s, though there is something for it.
    Unread,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the connection was closed"),
            Self::Failed(error) => error.fmt(f),
            Self::Unread => f.write_str("the peer does not read what it is sent"),
        }
    }
}

/// A stream, what is on its way out, and the engine's clock.
pub struct Wire<IO> {
    reader: ReadHalf<IO>,
    writer: WriteHalf<IO>,
    unsent: Bytes,
    /// TLS keeps what it has not sent until it is told to.
    unflushed: bool,
    /// Since when the peer has taken nothing of what is on its way.
    stuck_since: Option<Instant>,
    origin: Instant,
}

/// What a turn came to.
enum Step {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Timer,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    /// A stream for an engine whose clock stood at 0 at `origin`.
    pub fn new(io: IO, origin: Instant) -> Self {
        let (reader, writer) = tokio::io::split(io);
        Self { reader, writer, unsent: Bytes::new(), unflushed: false, stuck_since: None, origin }
    }

    /// Waits until bytes came or went or the engine's time has come, and lets the engine act on it. On an error the engine is still to
    /// be told. Safe to drop and call again.
    pub async fn turn(&mut self, machine: &mut impl Machine) -> Result<(), Broken> {
        self.collect(machine);
        let due = self.due(machine);
        let mut buffer = [0_u8; READ_BYTES];
        let Self { reader, writer, unsent, unflushed, .. } = self;
        let is_writing = *unflushed || !unsent.is_empty();
        let step = tokio::select! {
            read = reader.read(&mut buffer) => Step::Read(read),
            wrote = write_some(writer, unsent), if is_writing => Step::Wrote(wrote),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Step::Timer,
        };
        match step {
            Step::Read(Ok(0)) => return Err(Broken::Ended),
            Step::Read(Ok(count)) => machine.handle_bytes(buffer.get(..count).unwrap_or_default(), self.now_ms()),
            Step::Read(Err(error)) | Step::Wrote(Err(error)) => return Err(Broken::Failed(error)),
            Step::Wrote(Ok(count)) => self.wrote(count),
            Step::Timer if self.stuck_by().is_some_and(|due| due <= Instant::now()) => return Err(Broken::Unread),
            Step::Timer => machine.handle_timeout(self.now_ms()),
        }
        Ok(())
    }

    fn collect(&mut self, machine: &mut impl Machine) {
        if self.unsent.is_empty() {
            self.unsent = machine.poll_transmit().unwrap_or_default();
        }
        if !self.unsent.is_empty() {
            self.unflushed = true;
            self.stuck_since.get_or_insert_with(Instant::now);
        }
    }

    /// Bytes went out, or, where none are left, all of them have left TLS too.
    fn wrote(&mut self, count: usize) {
        self.unflushed = count > 0;
        self.stuck_since = self.unflushed.then(Instant::now);
    }

    fn due(&self, machine: &impl Machine) -> Option<Instant> {
        let machine_s = machine.poll_timeout().and_then(|due_ms| self.origin.checked_add(Duration::from_millis(due_ms)));
        machine_s.into_iter().chain(self.stuck_by()).min()
    }

    fn stuck_by(&self) -> Option<Instant> {
        self.stuck_since.and_then(|since| since.checked_add(WRITE_MAX))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes all that the engine has to say, in 20 s at most.
    pub async fn flush(&mut self, machine: &mut impl Machine) -> io::Result<()> {
        timeout(WRITE_MAX, self.write_all(machine)).await?
    }

    async fn write_all(&mut self, machine: &mut impl Machine) -> io::Result<()> {
        loop {
            self.collect(machine);
            if !self.unflushed {
                return Ok(());
            }
            let count = write_some(&mut self.writer, &mut self.unsent).await?;
            self.wrote(count);
        }
    }

    /// Writes what is left and closes the stream, in 20 s at most. A peer that does not listen any more is no loss.
    pub async fn finish(&mut self, machine: &mut impl Machine) {
        let _ = timeout(WRITE_MAX, async {
            self.write_all(machine).await?;
            self.writer.shutdown().await
        })
        .await;
    }

    /// Closes the stream without another word.
    pub async fn hang_up(&mut self) {
        let _ = timeout(WRITE_MAX, self.writer.shutdown()).await;
    }
}

/// Writes some of the bytes, of which there may be none any more: then TLS is told to send what it keeps. How many bytes were written.
async fn write_some(writer: &mut (impl AsyncWrite + Unpin), bytes: &mut Bytes) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    match writer.write_buf(bytes).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        count => Ok(count),
    }
}
