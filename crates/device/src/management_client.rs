//! A client of the management API.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use rustls::RootCertStore;
use serde_json::Value;
use usher_domain::Secret;

use crate::{Failure, request::Endpoint};

/// The API version that is spoken.
const API_VERSION: &str = "2022-02-05";

/// A client of one installation's management API.
pub struct ManagementClient {
    endpoint: Endpoint,
    token: Secret,
}

impl ManagementClient {
    /// From the API's base URL, `https://host[:port]`, and its bearer token.
    pub fn new(url: &str, token: Secret, trust: Arc<RootCertStore>) -> Result<Self, Failure> {
        let wrong = || Failure::settings(format!("{url} is not a URL of the form https://host or https://host:port"));
        let authority = url.strip_prefix("https://").ok_or_else(wrong)?.trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
            None => (authority, 443),
        };
        if host.is_empty() || host.contains(['/', '@', '?']) {
            return Err(wrong());
        }
        Ok(Self { endpoint: Endpoint::new(host, port, trust)?, token })
    }

    /// Sends a request. `path` may have a query. `if_match` is an ETag as the API told it. An answer without a body is `null`.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, if_match: Option<&str>) -> Result<Value, Failure> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{path}{separator}api-version={API_VERSION}"))
            .header(header::HOST, self.endpoint.authority())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        if let Some(etag) = if_match {
            request = request.header(header::IF_MATCH, etag);
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|why| Failure::settings(format!("the request cannot be sent: {why}")))?;
        let (status, body) = self.endpoint.send(request).await?;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() { Ok(json) } else { Err(refused(status.as_u16(), &json)) }
    }
}

fn refused(status: u16, json: &Value) -> Failure {
    let message = json["error"]["message"].as_str().unwrap_or("no message");
    let next = match status {
        401 => "Give the installation's token: --token, or that of dev.json.",
        404 => "`usher service list` shows what there is.",
        409 | 412 => "Look at what is there now, and repeat the change if it is still wanted.",
        400..=499 => "Correct the request as the message says.",
        _ => "See the server's log.",
    };
    Failure::new("management API", format!("answered {status}: {message}"), next)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        let new = |url: &str| {
            ManagementClient::new(url, Secret::new("t"), Arc::new(RootCertStore::empty())).map(|client| client.endpoint.authority())
        };
        assert_eq!(new("https://localhost").unwrap(), "localhost:443");
        assert_eq!(new("https://localhost:8443/").unwrap(), "localhost:8443");
        for wrong in ["http://localhost", "localhost", "https://", "https://h:port", "https://h/x"] {
            assert!(new(wrong).is_err(), "{wrong}");
        }
    }
}
