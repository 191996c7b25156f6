//! A request, read once: everything the handlers look at.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use serde_json::Value;
use usher_hub_embedded::{Code, EmbeddedHub, Fault, etag::Condition};

use crate::{PeerEvidence, property_bag};

/// Largest body, in bytes: a hundred devices of a bulk request with a few kilobytes of twin each.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// A request to a hub.
pub struct Call {
    /// The hub.
    pub hub: Arc<EmbeddedHub>,
    /// The verb.
    pub method: Method,
    /// The path, still encoded.
    pub path: String,
    /// The `Host` header, or the target's authority.
    pub authority: String,
    /// The client certificate and its chain, DER.
    pub chain: Vec<Vec<u8>>,
    /// The body.
    pub body: Bytes,
    headers: HeaderMap,
    query: String,
}

impl Call {
    /// Takes a request apart.
    pub fn read(hub: &Arc<EmbeddedHub>, request: Request<Bytes>) -> Result<Self, Fault> {
        let (parts, body) = request.into_parts();
        if body.len() > BODY_BYTES_MAX {
            return Err(Fault::new(Code::MessageTooLarge, format!("A body may have {BODY_BYTES_MAX} bytes.")));
        }
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(parts.uri.authority().map(|host| host.as_str()));
        Ok(Self {
            hub: Arc::clone(hub),
            method: parts.method,
            path: parts.uri.path().to_owned(),
            authority: named.unwrap_or_default().to_owned(),
            chain: parts.extensions.get::<PeerEvidence>().map(|peer| peer.chain.clone()).unwrap_or_default(),
            body,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
        })
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers that are text, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// A query parameter, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        property_bag::value_of(&self.query, name)
    }

    /// A query parameter that is a number; refused where it is none.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let parse = |text: String| text.parse().map_err(|_| Fault::invalid(format!("{name} must be a number.")));
        self.parameter(name).map(parse).transpose()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value, Fault> {
        serde_json::from_slice(&self.body).map_err(|error| Fault::invalid(format!("The body is not valid JSON: line {}.", error.line())))
    }

    /// The condition in `If-Match`.
    pub fn condition(&self) -> Condition {
        Condition::from_header(self.header("if-match"))
    }
}
