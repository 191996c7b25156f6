//! Frames, and the running hash over the file.

use aws_lc_rs::digest::{Context, SHA256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Kind, MAGIC, PAYLOAD_MAX, VERSION};
use crate::CopyError;

/// A frame's check, in bytes.
const CHECK_BYTES: usize = 8;

/// Writes frames.
pub struct Frames<S> {
    stream: S,
    hash: Context,
}

impl<S> Frames<S> {
    /// The SHA-256 over everything until now.
    pub fn so_far(&self) -> Vec<u8> {
        self.hash.clone().finish().as_ref().to_vec()
    }
}

impl<S: AsyncWrite + Unpin> Frames<S> {
    /// Begins a file.
    pub async fn begin(stream: S) -> Result<Self, CopyError> {
        let mut frames = Self { stream, hash: Context::new(&SHA256) };
        frames.put(MAGIC).await?;
        frames.put(&VERSION.to_be_bytes()).await?;
        Ok(frames)
    }

    /// Writes a frame.
    pub async fn write(&mut self, kind: Kind, payload: &[u8]) -> Result<(), CopyError> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.put(&[[kind as u8].as_slice(), &length.to_be_bytes()].concat()).await?;
        self.put(payload).await?;
        let check = self.so_far();
        self.put(check.get(..CHECK_BYTES).unwrap_or_default()).await
    }

    /// Hands over what is buffered on the way.
    pub async fn end(mut self) -> Result<S, CopyError> {
        self.stream.flush().await.map_err(unwritable)?;
        Ok(self.stream)
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), CopyError> {
        self.hash.update(bytes);
        self.stream.write_all(bytes).await.map_err(unwritable)
    }
}

fn unwritable(error: std::io::Error) -> CopyError {
    CopyError::new(format!("the backup cannot be written: {error}"), "Choose a place with room that this user may write.")
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Opens a file.
    pub async fn open(stream: S) -> Result<Self, CopyError> {
        let mut frames = Self { stream, hash: Context::new(&SHA256) };
        let no_backup = |_| CopyError::new("this is no backup of usher", "Give the file that `usher backup` wrote.");
        let magic = frames.get::<8>().await.map_err(no_backup)?;
        if &magic != MAGIC {
            return Err(no_backup(CopyError::damaged("")));
        }
        match u16::from_be_bytes(frames.get().await?) {
            VERSION => Ok(frames),
            version => {
                let what = format!("the backup has version {version}; this program reads version {VERSION}");
                Err(CopyError::new(what, "Use the version of usher that wrote it."))
            }
        }
    }

    /// The next frame, once its check has proved right.
    pub async fn read(&mut self) -> Result<(Kind, Vec<u8>), CopyError> {
        let [kind] = self.get().await?;
        let length = u32::from_be_bytes(self.get().await?) as usize;
        let kinds = [Kind::Header, Kind::MasterKey, Kind::Entries, Kind::End, Kind::Tag];
        let kind = kinds.into_iter().find(|known| *known as u8 == kind).ok_or_else(|| CopyError::damaged("an unknown part"))?;
        if length > PAYLOAD_MAX {
            return Err(CopyError::damaged("a part that is too long"));
        }
        let mut payload = vec![0; length];
        self.fill(&mut payload).await?;
        let expected = self.so_far();
        let check: [u8; CHECK_BYTES] = self.get().await?;
        if expected.get(..CHECK_BYTES) != Some(check.as_slice()) {
            return Err(CopyError::damaged("a part is not what was written"));
        }
        Ok((kind, payload))
    }

    /// Whether nothing follows.
    pub async fn is_at_end(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]).await, Ok(0))
    }

    async fn get<const N: usize>(&mut self) -> Result<[u8; N], CopyError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).await?;
        Ok(bytes)
    }

    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CopyError> {
        self.stream.read_exact(bytes).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => CopyError::damaged("it ends too early"),
            _ => CopyError::new(format!("the backup cannot be read: {error}"), "Mend that, and run it again."),
        })?;
        self.hash.update(bytes);
        Ok(())
    }
}
