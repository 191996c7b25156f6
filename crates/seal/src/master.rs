//! The master key and where it comes from.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use crate::{SealError, SecretBytes};

/// The key that wraps every tenant's keys. Losing it loses the data.
#[derive(Clone, Debug)]
pub struct MasterKey(SecretBytes);

/// Why a key file could not be used.
#[derive(Debug)]
pub enum KeyFileError {
    /// It cannot be read or made.
    Io(io::Error),
    /// Others than its owner may read it.
    Exposed,
    /// It does not hold base64 of 32 bytes.
    NotAKey,
    /// There is no randomness to make one from.
    Module,
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read or made: {error}"),
            Self::Exposed => f.write_str("others than its owner may read it: chmod 600 it"),
            Self::NotAKey => f.write_str("it must hold base64 of 32 bytes"),
            Self::Module => f.write_str("the cryptographic module failed"),
        }
    }
}

impl std::error::Error for KeyFileError {}

impl MasterKey {
    /// A fresh key.
    pub fn generate() -> Result<Self, SealError> {
        SecretBytes::generate().map(Self)
    }

    /// Reads base64 of 32 bytes, white space around it allowed.
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        SecretBytes::from_slice(&bytes).map(Self)
    }

    /// Reads the key from a file that only its owner may read; makes it first where it is missing and `create` says so.
    pub fn from_file(path: &Path, create: bool) -> Result<Self, KeyFileError> {
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => {
                let mode = fs::metadata(path).map_err(KeyFileError::Io)?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(KeyFileError::Exposed);
                }
                Self::from_base64(&text).ok_or(KeyFileError::NotAKey)
            }
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(KeyFileError::Io(error)),
        }
    }

    /// Written beside its place, synced, then renamed: a crash leaves a whole key or none.
    fn create(path: &Path) -> Result<Self, KeyFileError> {
        let key = Self::generate().map_err(|_| KeyFileError::Module)?;
        let text = Zeroizing::new(STANDARD.encode(key.0.expose()));
        let beside = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(KeyFileError::Io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(KeyFileError::Io)?;
        fs::rename(&beside, path).map_err(KeyFileError::Io)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(KeyFileError::Io)?;
        Ok(key)
    }

    pub(crate) fn key(&self) -> &SecretBytes {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_file_is_made_private_and_found_again() {
        let path = std::env::temp_dir().join(format!("usher-key-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        assert!(matches!(MasterKey::from_file(&path, false), Err(KeyFileError::Io(_))));
        let made = MasterKey::from_file(&path, true).unwrap();
        let found = MasterKey::from_file(&path, true).unwrap();
        assert_eq!(made.0.expose(), found.0.expose());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKey::from_file(&path, true), Err(KeyFileError::Exposed)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "c2hvcnQ=").unwrap();
        assert!(matches!(MasterKey::from_file(&path, true), Err(KeyFileError::NotAKey)));
        fs::remove_file(&path).unwrap();
    }
}
