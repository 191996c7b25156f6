//! Where the master key comes from. One trait, so that a hardware module can take the place of a file.

use std::{fmt, io, path::PathBuf};

use zeroize::Zeroizing;

use crate::MasterKey;

/// Gives the master key, once, at the start.
pub trait KeySource {
    /// The key.
    ///
    /// # Errors
    /// Where there is none, or it is not one.
    fn master_key(&self) -> Result<MasterKey, KeyError>;
}

/// Why there is no master key.
#[derive(Debug)]
pub enum KeyError {
    /// It cannot be read or made.
    Io(io::Error),
    /// The environment does not have this variable.
    Unset {
        /// The variable.
        variable: String,
    },
    /// Others than its owner may read it.
    Exposed,
    /// It is not base64 of 32 bytes.
    NotAKey,
    /// A token does not give it for use; in words, with what to do.
    Token(String),
    /// There is no randomness to make one from.
    Module,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read or made: {error}"),
            Self::Unset { variable } => write!(f, "the environment variable {variable} is not set"),
            Self::Exposed => f.write_str("others than its owner may read it: chmod 600 it"),
            Self::NotAKey => f.write_str("it must hold base64 of 32 bytes"),
            Self::Token(why) => f.write_str(why),
            Self::Module => f.write_str("the cryptographic module failed"),
        }
    }
}

impl std::error::Error for KeyError {}

/// A file that only its owner may read, with base64 of 32 bytes.
pub struct KeyFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is made where it is missing. Never where records already exist: a new key would only hide that the old one is lost.
    pub create: bool,
}

impl KeySource for KeyFile {
    fn master_key(&self) -> Result<MasterKey, KeyError> {
        MasterKey::from_file(&self.path, self.create)
    }
}

/// An environment variable with base64 of 32 bytes. The weakest source: whoever may read `/proc/PID/environ` has the key.
pub struct EnvironmentKey {
    /// Its name.
    pub variable: String,
}

impl KeySource for EnvironmentKey {
    fn master_key(&self) -> Result<MasterKey, KeyError> {
        let text = std::env::var(&self.variable).map_err(|why| match why {
            std::env::VarError::NotPresent => KeyError::Unset { variable: self.variable.clone() },
            std::env::VarError::NotUnicode(_) => KeyError::NotAKey,
        })?;
        let key = MasterKey::from_base64(&Zeroizing::new(text)).ok_or(KeyError::NotAKey)?;
        Ok(key.told(format!("environment variable {}", self.variable)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_missing_variable_is_named_and_one_of_another_shape_is_refused() {
        let source = |variable: &str| EnvironmentKey { variable: variable.into() };
        let Err(error) = source("USHER_NO_SUCH_VARIABLE").master_key() else { panic!("a key from nowhere") };
        assert_eq!(error.to_string(), "the environment variable USHER_NO_SUCH_VARIABLE is not set");
        // Tests may not set variables (that is unsafe among threads); cargo sets this one for them.
        assert!(matches!(source("CARGO_PKG_NAME").master_key(), Err(KeyError::NotAKey)));
    }
}
