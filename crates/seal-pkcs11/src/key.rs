//! A key in a token as a master key.

use aws_lc_rs::digest::{SHA256, digest};
use usher_seal::{CHECK_BYTES, HeldKey, KeyError, KeySource, MasterKey, SealError, SecretBytes};

use crate::{
    TokenError, TokenSettings, connection,
    module::Module,
    worker::{Question, Worker},
};

/// A key that stays in its token.
pub struct TokenKey {
    worker: Worker,
    check: [u8; CHECK_BYTES],
    origin: String,
}

impl TokenKey {
    /// Logs in, finds the key, and tries it on a key of chance.
    ///
    /// # Errors
    /// Where any of that fails. A refused PIN is tried once.
    pub fn open(settings: &TokenSettings) -> Result<Self, TokenError> {
        let worker = Worker::start(settings.clone())?;
        let identity = worker.ask(Question::Identity)?;
        let mut check = [0; CHECK_BYTES];
        for (out, byte) in check.iter_mut().zip(digest(&SHA256, &identity).as_ref()) {
            *out = *byte;
        }
        let key = Self { worker, check, origin: settings.describe() };
        key.worker.ask(Question::Trial)?;
        Ok(key)
    }
}

impl HeldKey for TokenKey {
    fn check(&self) -> [u8; CHECK_BYTES] {
        self.check
    }

    fn describe(&self) -> String {
        self.origin.clone()
    }

    fn wrap(&self, place: &[u8], key: &SecretBytes) -> Result<Vec<u8>, SealError> {
        self.worker.ask(Question::Wrap { place: place.to_vec(), key: key.expose().to_vec() }).map_err(seal_error)
    }

    fn unwrap(&self, place: &[u8], wrapped: &[u8]) -> Result<SecretBytes, SealError> {
        let opened = self.worker.ask(Question::Unwrap { place: place.to_vec(), wrapped: wrapped.to_vec() }).map_err(seal_error)?;
        SecretBytes::from_slice(&opened).ok_or(SealError::NotAuthentic)
    }
}

fn seal_error(error: TokenError) -> SealError {
    match error {
        TokenError::NotAuthentic => SealError::NotAuthentic,
        other => SealError::Unreachable(other.to_string()),
    }
}

impl KeySource for TokenSettings {
    fn master_key(&self) -> Result<MasterKey, KeyError> {
        let key = TokenKey::open(self).map_err(|error| KeyError::Token(error.to_string()))?;
        Ok(MasterKey::held(std::sync::Arc::new(key)))
    }
}

/// Makes a key in the token that can be a master key: AES-256, never to leave it.
///
/// # Errors
/// Where there is one of this label, or the token refuses.
pub fn make_key(settings: &TokenSettings) -> Result<(), TokenError> {
    let module = Module::of(&settings.module);
    let mut held = module.hold();
    connection::make(module.loaded(&mut held)?, settings)
}
