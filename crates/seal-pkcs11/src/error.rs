//! What can go wrong with a token, in words for whoever set it up.

use std::{fmt, path::PathBuf, time::Duration};

use cryptoki::error::{Error, RvError};

/// Why a token does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The library cannot be loaded.
    Module {
        /// Where it should be.
        path: PathBuf,
        /// What the loader says.
        why: String,
    },
    /// There is no token of this label.
    NoToken {
        /// The label.
        label: String,
        /// The labels there are.
        seen: Vec<String>,
    },
    /// The PIN was refused, now or before; it is not tried again.
    PinRefused {
        /// The token's label.
        token: String,
        /// What the token tells of the tries left.
        left: &'static str,
    },
    /// There is no key of this label.
    NoKey {
        /// The label.
        label: String,
        /// The labels of the secret keys there are.
        seen: Vec<String>,
    },
    /// The key is there and cannot be used as a master key.
    Unfit {
        /// The label.
        label: String,
        /// What is wrong with it.
        why: String,
    },
    /// What was wrapped is not what was unwrapped: another key, another place, or altered.
    NotAuthentic,
    /// A call failed.
    Failed {
        /// What was being done.
        step: &'static str,
        /// What the library says.
        why: String,
    },
    /// No answer in time.
    TimedOut(Duration),
    /// Too many questions wait for the token already.
    Busy,
}

impl TokenError {
    /// Whether a new session may help.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::NoToken { .. } | Self::NoKey { .. })
    }
}

/// A failed call with what was being done.
pub(crate) fn failed(step: &'static str) -> impl Fn(Error) -> TokenError {
    move |error| TokenError::Failed { step, why: told(&error) }
}

/// The library's word for it; cryptoki's own texts quote the standard at length.
fn told(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function:?} answers {code:?}"),
        other => other.to_string(),
    }
}

/// Whether the call says that the ciphertext is not what the key made.
pub(crate) fn is_not_authentic(error: &Error) -> bool {
    use RvError::{DataInvalid, EncryptedDataInvalid, EncryptedDataLenRange};
    matches!(error, Error::Pkcs11(EncryptedDataInvalid | EncryptedDataLenRange | DataInvalid, _))
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |seen: &[String]| if seen.is_empty() { "there are none".to_owned() } else { format!("there are {}", seen.join(", ")) };
        match self {
            Self::Module { path, why } => {
                write!(f, "the PKCS#11 module {} cannot be loaded: {why}; give the path of the maker's library", path.display())
            }
            Self::NoToken { label, seen } => write!(f, "the module has no token {label}; {}", listed(seen)),
            Self::PinRefused { token, left } => write!(
                f,
                "the token {token} refused the PIN; {left}. It is not tried again until usher is started or told to reload: correct the PIN first"
            ),
            Self::NoKey { label, seen } => {
                write!(f, "the token has no secret key {label}; {}. `usher keys make` makes one", listed(seen))
            }
            Self::Unfit { label, why } => write!(f, "the key {label} cannot be used as a master key: {why}"),
            Self::NotAuthentic => f.write_str("the token did not wrap this, or it was altered"),
            Self::Failed { step, why } => write!(f, "{step}: {why}"),
            Self::TimedOut(after) => write!(f, "no answer within {} s", after.as_secs()),
            Self::Busy => f.write_str("too many questions wait for it already"),
        }
    }
}

impl std::error::Error for TokenError {}
