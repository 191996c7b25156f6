//! A file as a stream, for commands that do nothing else meanwhile: reads and writes hold up their thread.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A file that is read.
pub struct Source(io::BufReader<File>);

impl Source {
    /// From its beginning.
    pub fn new(file: File) -> Self {
        Self(io::BufReader::with_capacity(BUFFER_BYTES, file))
    }
}

impl AsyncRead for Source {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.0.read(into.initialize_unfilled())?;
        into.advance(read);
        Poll::Ready(Ok(()))
    }
}

/// A file that is written.
pub struct Sink(io::BufWriter<File>);

impl Sink {
    /// From its beginning.
    pub fn new(file: File) -> Self {
        Self(io::BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    /// Makes everything durable that was written and flushed.
    pub fn sync(self) -> io::Result<()> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl AsyncWrite for Sink {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
