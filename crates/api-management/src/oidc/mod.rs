//! Tokens of an OpenID Connect issuer as the administrator's: verified here, with keys that are fetched through a small port.
//!
//! Keys are kept for an hour and fetched again when a token names one that is not among them, with half a minute between fetches whatever
//! comes. While keys are fetched, tokens of known keys are not kept waiting; where the issuer is down, known keys go on for a day.

mod claims;
pub mod discovery;
mod keys;
mod rejection;

use std::{
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use tokio::sync::Mutex;
use usher_domain::{Timestamp, clock::Clock};

use crate::jwt::{Jwt, Malformed};
use keys::KeySet;
pub use rejection::Rejection;

/// Keys are fetched again after this time, in seconds: so long a key that the issuer withdrew may still count.
const FRESH_S: i64 = 3600;
/// Keys are not used after this time, in seconds, whatever keeps new ones from coming.
const STALE_S: i64 = 24 * 3600;
/// The least time between two fetches, in seconds: tokens with made-up key IDs must not turn this node against the issuer.
const FLOOR_S: i64 = 30;

/// The future of a fetch.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where an issuer's keys come from.
pub trait KeySource: Send + Sync + 'static {
    /// The issuer's JWK set as it is now. Must end in bounded time and bring bounded bytes.
    ///
    /// # Errors
    /// In words for the log.
    fn fetch(&self) -> BoxFuture<'_, Result<Bytes, String>>;
}

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcSettings {
    /// The issuer's URL, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// What tokens must have in `aud`.
    pub audience: String,
    /// A claim and its value that tokens must have, alone or in a list, for example `roles` and `usher-admin`.
    pub claim: Option<(String, String)>,
}

/// Verifies the issuer's tokens.
pub struct Oidc {
    settings: OidcSettings,
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    held: RwLock<Option<Held>>,
    /// When keys were last asked for. Its lock is held over a fetch, so that there is one at a time.
    asked: Mutex<Option<Timestamp>>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    at: Timestamp,
}

impl Oidc {
    /// A verifier that has no keys yet.
    pub fn new(settings: OidcSettings, source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, source, clock, held: RwLock::default(), asked: Mutex::default() }
    }

    /// Whether a token opens the API.
    ///
    /// # Errors
    /// See [`Rejection`].
    pub async fn verify(&self, token: &str) -> Result<String, Rejection> {
        let token = Jwt::parse(token).map_err(malformed)?;
        claims::check(&token, &self.settings, self.clock.now())?;
        self.check_signature(&token).await?;
        claims::check_required(&token, &self.settings)?;
        Ok(claims::subject(&token))
    }

    async fn check_signature(&self, token: &Jwt<'_>) -> Result<(), Rejection> {
        let held = self.held();
        let fresh = held.as_ref().is_some_and(|held| self.age_s(held) < FRESH_S);
        let outcome = held.as_ref().map(|held| held.keys.verify(token));
        match outcome {
            Some(Ok(())) if fresh => return Ok(()),
            Some(Err(refused)) if fresh && refused != Rejection::UnknownKey => return Err(refused),
            _ => {}
        }
        match (self.refresh(held.as_ref()).await, outcome) {
            (Ok(keys), _) => keys.verify(token),
            (Err(_), Some(outcome)) => outcome,
            (Err(why), None) => Err(Rejection::Unreachable(why)),
        }
    }

    /// Newer keys than `known`; asked for here, or by someone else meanwhile.
    async fn refresh(&self, known: Option<&Held>) -> Result<Arc<KeySet>, String> {
        let mut asked = self.asked.lock().await;
        if let Some(newer) = self.held().filter(|held| known.is_none_or(|known| held.at > known.at)) {
            return Ok(newer.keys);
        }
        let now = self.clock.now();
        // A clock that was put back is no reason to wait.
        if asked.is_some_and(|last| (0..FLOOR_S).contains(&now.secs().saturating_sub(last.secs()))) {
            return Err("they were asked for a moment ago".into());
        }
        *asked = Some(now);
        let fetched = self.source.fetch().await.and_then(|document| KeySet::parse(&document));
        let keys = fetched.map(Arc::new).inspect_err(|why| {
            let mend = Rejection::Unreachable(String::new()).mend();
            tracing::warn!(check = "oidc.keys", detail = why, issuer = self.settings.issuer, mend, "the issuer's keys could not be had");
        })?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Held { keys: Arc::clone(&keys), at: now });
        Ok(keys)
    }

    /// The keys that can be used, if there are any.
    fn held(&self) -> Option<Held> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        held.filter(|held| self.age_s(held) < STALE_S)
    }

    fn age_s(&self, held: &Held) -> i64 {
        self.clock.now().secs().saturating_sub(held.at.secs())
    }
}

fn malformed(why: Malformed) -> Rejection {
    Rejection::Malformed(match why {
        Malformed::TooLong => "it is longer than 16 KiB",
        Malformed::NotJwt => "it is no JSON web token",
        Malformed::Critical => "it has a header that must be understood and is not known here",
    })
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
