//! A client of the service API for the commands that enroll: connections are kept, tokens made once, throttling is waited out.

mod answer;
mod kind;
mod pace;

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use usher_attestation::sas;
use usher_device::{Failure, now_s};
use usher_domain::{Secret, limits::BULK_ITEMS_MAX};
use usher_outbound::{Bounds, Client, OutboundError, trusted_roots};

pub use answer::{Answer, Refusal};
pub use kind::{Kind, escaped};
pub use pace::Patience;

use pace::Pace;

/// The API version of Azure's current service SDKs.
const API_VERSION: &str = "2021-10-01";
/// Lifetime of tokens, in seconds; one is made anew when half of it has passed.
const TOKEN_LIFETIME_S: i64 = 3_600;
/// The largest answer: a page of a thousand enrollments of common size, with room. The page is made smaller where that is not enough.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Time for one request, as the other commands have.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// The most items of one bulk request.
pub const BULK_MAX: usize = BULK_ITEMS_MAX;

/// The step of a failure by an answer that is larger than is taken; a smaller page helps.
pub const TOO_LARGE: &str = "size of the answer";

/// A client of one provisioning service.
pub struct ServiceApi {
    client: Client,
    /// `host[:port]`, as the connection string has it.
    authority: String,
    policy: String,
    key: Secret,
    token: Mutex<Option<(String, i64)>>,
    pace: Pace,
    patience: Patience,
}

impl ServiceApi {
    /// From the service's connection string; `trust` are roots besides the machine's.
    ///
    /// # Errors
    /// A connection string that cannot be read, or a root that is no certificate.
    pub fn new(connection_string: &str, trust: &[CertificateDer<'static>]) -> Result<Self, Failure> {
        let part = |name: &str| {
            let found = connection_string.trim().split(';').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty()).ok_or_else(|| {
                let next =
                    "It is written HostName=…;SharedAccessKeyName=…;SharedAccessKey=…; `usher service keys` shows those of a service.";
                Failure::new("settings", format!("the connection string has no {name}"), next)
            })
        };
        let (authority, policy, key) = (part("HostName")?, part("SharedAccessKeyName")?, part("SharedAccessKey")?);
        sas::decode_key(&key).map_err(|why| Failure::settings(format!("SharedAccessKey: {why}")))?;
        let roots = trusted_roots(trust).map_err(|why| Failure::settings(why.to_string()))?;
        let client = Client::trusting(roots.into()).map_err(|why| Failure::settings(why.to_string()))?;
        Ok(Self {
            client,
            authority,
            policy,
            key: Secret::new(key),
            token: Mutex::new(None),
            pace: Pace::default(),
            patience: Patience::OF_ONE,
        })
    }

    /// The same client, with another patience.
    #[must_use]
    pub fn with(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The service's host, with its port where that is not 443.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// One record.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, None, &[]).await
    }

    /// Creates or replaces a record.
    pub async fn put(&self, path: &str, body: &Value, if_match: Option<&str>) -> Result<Answer, Failure> {
        self.send(Method::PUT, path, Some(body), &condition(if_match)).await
    }

    /// Deletes a record.
    pub async fn delete(&self, path: &str, if_match: Option<&str>) -> Result<Answer, Failure> {
        self.send(Method::DELETE, path, None, &condition(if_match)).await
    }

    /// A record's attestation with its keys.
    pub async fn keys(&self, kind: Kind, id: &str) -> Result<Answer, Failure> {
        self.send(Method::POST, &format!("{}/attestationmechanism", kind.path(id)), None, &[]).await
    }

    /// A page of a listing.
    pub async fn page(&self, path: &str, query: Option<&str>, items: usize, continuation: Option<&str>) -> Result<Answer, Failure> {
        let mut headers = vec![("x-ms-max-item-count", items.to_string())];
        headers.extend(continuation.map(|token| ("x-ms-continuation", token.to_owned())));
        let body = json!({ "query": query.unwrap_or("SELECT *") });
        self.send(Method::POST, path, Some(&body), &headers).await
    }

    /// Up to [`BULK_MAX`] records at once.
    pub async fn bulk(&self, kind: Kind, mode: &str, items: &[Value]) -> Result<Answer, Failure> {
        let body = json!({ "mode": mode, kind.collection(): items });
        self.send(Method::POST, &format!("/{}", kind.collection()), Some(&body), &[]).await
    }

    /// Sends a request until it has an answer that is not "later", or patience ends.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&'static str, String)]) -> Result<Answer, Failure> {
        let mut tries = 0;
        loop {
            self.pace.wait().await;
            let outcome = self.send_once(&method, path, body, headers).await;
            let pause = match &outcome {
                Ok(answer) => self.pace.pause_after(self.patience, tries, answer),
                Err(why) => pace::pause_after_failure(self.patience, tries, why),
            };
            let Some(pause) = pause else { return outcome.map_err(|why| self.explained(&why)) };
            tries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    async fn send_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, OutboundError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}?api-version={API_VERSION}", self.authority))
            .header(header::AUTHORIZATION, self.token());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(bytes).map_err(|_| OutboundError::Refused("host name, ETag or continuation cannot be sent"))?;
        let answer = self.client.send(request, Bounds { within: REQUEST_MAX, body_bytes_max: ANSWER_BYTES_MAX }).await?;
        Ok(Answer::read(&answer))
    }

    /// The `Authorization` header's value.
    fn token(&self) -> String {
        let now = now_s();
        let mut kept = self.token.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match kept.as_ref() {
            Some((token, expiry)) if expiry - now > TOKEN_LIFETIME_S / 2 => token.clone(),
            _ => {
                let expiry = now.saturating_add(TOKEN_LIFETIME_S);
                let host = self.authority.split(':').next().unwrap_or_default();
                let key = sas::decode_key(self.key.expose()).map(|key| key.to_vec()).unwrap_or_default();
                let token = sas::sign(host, &key, expiry, Some(&self.policy));
                *kept = Some((token.clone(), expiry));
                token
            }
        }
    }

    fn explained(&self, why: &OutboundError) -> Failure {
        let next = match why {
            OutboundError::CannotConnect { .. } => "Is the server running, and is this its host and port?",
            OutboundError::Untrusted { .. } => "Give the server's root certificate: --trust FILE.",
            OutboundError::TimedOut { .. } => "Is the server overloaded or unreachable from here? Try again.",
            OutboundError::TooLarge { .. } => "Ask for fewer: --top.",
            OutboundError::Broken { .. } => "Try again; see the server's log if it happens again.",
            OutboundError::Refused(_) | OutboundError::Trust(_) => "Correct the connection string.",
        };
        let step = if matches!(why, OutboundError::TooLarge { .. }) { TOO_LARGE } else { "service API" };
        Failure::new(step, why.to_string(), next)
    }
}

fn condition(if_match: Option<&str>) -> Vec<(&'static str, String)> {
    if_match.map(|etag| ("if-match", etag.to_owned())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn connection_strings_are_read_or_refused_with_what_is_missing() {
        let whole = "HostName=h.example:8443;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0";
        assert_eq!(ServiceApi::new(whole, &[]).unwrap().authority(), "h.example:8443");
        for (text, word) in [
            ("HostName=h;SharedAccessKeyName=o", "no SharedAccessKey"),
            ("", "no HostName"),
            ("HostName=;SharedAccessKeyName=o;SharedAccessKey=c2VjcmV0", "no HostName"),
            ("HostName=h;SharedAccessKeyName=o;SharedAccessKey=!", "base64"),
        ] {
            let refused = ServiceApi::new(text, &[]).map(|_| ()).unwrap_err();
            assert!(refused.to_string().contains(word), "{text}: {refused}");
        }
    }

    #[test]
    fn a_token_is_made_once() {
        let api = ServiceApi::new("HostName=h;SharedAccessKeyName=o;SharedAccessKey=c2VjcmV0c2VjcmV0c2VjcmV0", &[]).unwrap();
        assert_eq!(api.token(), api.token());
        assert!(api.token().contains("sr=h&"), "{}", api.token());
    }
}
