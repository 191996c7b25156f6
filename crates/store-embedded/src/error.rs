//! Why a store could not be opened, in words for the person who has to act.

use std::{fmt, io, path::Path};

/// Why the store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it open.
    Locked {
        /// Its folder.
        folder: String,
    },
    /// A later version of this program wrote it.
    Newer {
        /// Its folder.
        folder: String,
        /// The format it is in.
        format: u8,
    },
    /// The files are not what was written.
    Corrupt {
        /// Its folder.
        folder: String,
        /// What is wrong.
        detail: String,
    },
    /// The files cannot be read or written.
    Io {
        /// Its folder.
        folder: String,
        /// What went wrong.
        detail: String,
    },
}

impl OpenError {
    pub(crate) fn corrupt(folder: &Path, detail: impl Into<String>) -> Self {
        Self::Corrupt { folder: folder.display().to_string(), detail: detail.into() }
    }

    pub(crate) fn io(folder: &Path, error: &io::Error) -> Self {
        Self::Io { folder: folder.display().to_string(), detail: error.to_string() }
    }

    /// With the damaged file's name, where it can be told.
    pub(crate) fn located(self, find: impl FnOnce() -> Option<String>) -> Self {
        let Self::Corrupt { folder, detail } = self else { return self };
        let file = find().map(|file| format!(": {file}")).unwrap_or_default();
        Self::Corrupt { folder, detail: detail + &file }
    }

    /// What the engine says, in these terms. `known` tells that a store was here before: a file that is then missing, short or in the
    /// way is damage, not the lack of a right or of space.
    pub(crate) fn engine(folder: &Path, known: bool, error: &fjall::Error) -> Self {
        use io::ErrorKind::{AlreadyExists, InvalidData, InvalidInput, NotFound, UnexpectedEof};
        match error {
            fjall::Error::Locked => Self::Locked { folder: folder.display().to_string() },
            fjall::Error::Io(error)
                if known && matches!(error.kind(), AlreadyExists | InvalidData | InvalidInput | NotFound | UnexpectedEof) =>
            {
                Self::corrupt(folder, format!("a file of the engine is missing or cut short: {error}"))
            }
            fjall::Error::Io(error) => Self::io(folder, error),
            fjall::Error::JournalRecovery(_) | fjall::Error::InvalidTrailer | fjall::Error::InvalidTag(_) => {
                Self::corrupt(folder, format!("a journal, *.jnl: {error}"))
            }
            fjall::Error::InvalidVersion(_) => Self::corrupt(folder, format!("the file version: {error}")),
            other => Self::corrupt(folder, other.to_string()),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { folder } => {
                write!(f, "the store in {folder} is in use by another process: stop it, or choose another state folder")
            }
            Self::Newer { folder, format } => {
                write!(f, "the store in {folder} is in format {format}, which only a later version reads: use that version")
            }
            Self::Corrupt { folder, detail } => write!(f, "the store in {folder} is damaged ({detail}): restore it from a backup"),
            Self::Io { folder, detail } => write!(f, "the store in {folder} cannot be opened: {detail}"),
        }
    }
}

impl std::error::Error for OpenError {}
