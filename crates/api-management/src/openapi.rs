//! The description of the management API for machines, OpenAPI 3.1, served to whoever asks.
//!
//! The document is written by hand in `docs/openapi-management.json`; `tests/openapi.rs` holds it to this crate's table of doors, and
//! schemathesis holds the running server to it (`tests/sdk/openapi_management.py`).

use bytes::Bytes;
use http::{HeaderValue, Response, header};

/// Where it is served, without a token: it says nothing that the published documentation does not.
pub const OPENAPI_PATH: &str = "/openapi-management.json";
/// The document.
pub const OPENAPI: &str = include_str!("../../../docs/openapi-management.json");

/// The document as an answer.
pub fn openapi() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(OPENAPI.as_bytes()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
