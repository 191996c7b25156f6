//! Answers in Azure Resource Manager's shapes.

use bytes::Bytes;
use http::{Response, header};
use serde_json::{Value, json};
use usher_domain::TrackingId;
use usher_records::RecordError;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// Azure Resource Manager's word for it.
    pub code: &'static str,
    /// What happened, for the client.
    pub message: String,
    /// What to do about it, for the log.
    pub mend: &'static str,
}

impl Refused {
    /// A request that breaks a rule.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into(), mend: "Correct the request as the detail says." }
    }

    /// Something that is not there.
    pub fn missing(message: String) -> Self {
        Self { status: 404, code: "ResourceNotFound", message, mend: "Use the resourceId of dev.json." }
    }

    /// A request without a valid token.
    pub fn unauthenticated() -> Self {
        let message = "A valid bearer token is needed.".into();
        Self { status: 401, code: "AuthenticationFailed", message, mend: "Send management.token of dev.json as bearer token." }
    }
}

impl From<RecordError> for Refused {
    fn from(error: RecordError) -> Self {
        let mend = "See the store's own log lines.";
        match error {
            RecordError::Unavailable(_) => Self { status: 503, code: "ServiceUnavailable", message: "Try again later.".into(), mend },
            _ => Self { status: 500, code: "InternalServerError", message: "Internal error.".into(), mend },
        }
    }
}

/// The response. Errors stand in `error` and, for older clients, at the top level too (azure-mgmt-iothubprovisioningservices 1.1.0:
/// ErrorDetails).
pub fn respond(outcome: Result<Value, Refused>, tracking_id: &TrackingId) -> Response<Bytes> {
    let (status, body) = match outcome {
        Ok(body) => (200, body),
        Err(Refused { status, code, message, .. }) => {
            (status, json!({ "error": { "code": code, "message": message }, "code": code, "message": message }))
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("x-ms-request-id", tracking_id.as_str());
    if status == 401 {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    response.body(Bytes::from(body.to_string())).unwrap_or_default()
}
