//! Continuation tokens: where a listing goes on, sealed, so that clients can neither read nor make one up.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use usher_seal::SealError;

use crate::{RecordError, Vault};

/// Longest token, in characters: it travels in a header.
const TOKEN_CHARS_MAX: usize = 512;

impl Vault {
    /// Seals `position` into a token that only this tenant and only the same `purpose` can open.
    ///
    /// # Errors
    /// Where the position is so long that the token would not be taken back.
    pub fn seal_token(&self, purpose: &str, position: &[u8]) -> Result<String, RecordError> {
        let token = URL_SAFE_NO_PAD.encode(self.keys().seal(&place(purpose), position)?);
        if token.len() > TOKEN_CHARS_MAX {
            return Err(RecordError::Invalid(format!("a token of {} characters, at most {TOKEN_CHARS_MAX}", token.len())));
        }
        Ok(token)
    }

    /// Opens a token; `None` where it was made up, altered, or made for something else.
    pub async fn open_token(&self, purpose: &str, token: &str) -> Option<Vec<u8>> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        match self.keys().open(&place(purpose), &sealed) {
            // Another node may have renewed the data key. A token that was made up gets no further than this: one small read.
            Err(SealError::UnknownKey { .. }) => {
                self.read_keys_again().await.ok()?;
                self.keys().open(&place(purpose), &sealed).ok()
            }
            outcome => outcome.ok(),
        }
    }
}

fn place(purpose: &str) -> Vec<u8> {
    [b"token ".as_slice(), purpose.as_bytes()].concat()
}
