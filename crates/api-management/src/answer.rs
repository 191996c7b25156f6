//! Answers in Azure Resource Manager's shapes.

use bytes::Bytes;
use http::{Response, header};
use serde_json::{Value, json};
use usher_domain::{ErrorCode, ServiceError, TrackingId};
use usher_records::RecordError;

/// A request that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; none after a deletion.
    pub body: Option<Value>,
}

impl Answer {
    /// 200 with a body.
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body: Some(body) }
    }

    /// 201 where something was made, else 200.
    pub fn written(body: Value, created: bool) -> Self {
        Self { status: if created { 201 } else { 200 }, body: Some(body) }
    }

    /// 200 where something was deleted, 204 where there was nothing.
    pub fn deleted(was_there: bool) -> Self {
        Self { status: if was_there { 200 } else { 204 }, body: None }
    }
}

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
    /// The methods that the path does take, where another was used.
    pub allow: Option<&'static str>,
}

impl Refused {
    /// A request that breaks a rule.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into(), mend: "Correct the request as the detail says.", allow: None }
    }

    /// Something that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        let mend = "List what there is; dev.json has the resourceId of the first service.";
        Self { status: 404, code: "ResourceNotFound", message: message.into(), mend, allow: None }
    }

    /// A request without a valid token.
    pub fn unauthenticated() -> Self {
        let message = "A valid bearer token is needed.".into();
        let mend = "Send management.token of dev.json as bearer token.";
        Self { status: 401, code: "AuthenticationFailed", message, mend, allow: None }
    }

    /// A method that the path does not take; it takes these, joined by comma and space.
    pub fn method(allowed: &'static str) -> Self {
        Self { status: 405, allow: Some(allowed), ..Self::bad("MethodNotAllowed", format!("This path takes {allowed}.")) }
    }
}

impl From<RecordError> for Refused {
    fn from(error: RecordError) -> Self {
        let code = if matches!(error, RecordError::Unavailable(_)) { ErrorCode::Unavailable } else { ErrorCode::Internal };
        Self { mend: "See the store's own log lines.", ..Self::from(ServiceError::new(code)) }
    }
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        let status = error.code.status();
        let code = match status {
            403 => "QuotaExceeded",
            404 => "ResourceNotFound",
            409 => "Conflict",
            412 => "PreconditionFailed",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            500.. => "InternalServerError",
            _ => "BadRequest",
        };
        Self { status, ..Self::bad(code, error.message) }
    }
}

/// The response. Errors stand in `error` and, for older clients, at the top level too (azure-mgmt-iothubprovisioningservices 1.1.0:
/// ErrorDetails).
pub fn respond(outcome: Result<Answer, Refused>, tracking_id: &TrackingId) -> Response<Bytes> {
    // Needed with 405 (RFC 9110 section 15.5.6).
    let allow = outcome.as_ref().err().and_then(|refused| refused.allow);
    let Answer { status, body } = outcome.unwrap_or_else(|Refused { status, code, message, .. }| {
        let body = json!({ "error": { "code": code, "message": message }, "code": code, "message": message });
        Answer { status, body: Some(body) }
    });
    let mut response = Response::builder().status(status).header("x-ms-request-id", tracking_id.as_str());
    if body.is_some() {
        response = response.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    }
    if let Some(allow) = allow {
        response = response.header(header::ALLOW, allow);
    }
    if status == 401 {
        response = response.header(header::WWW_AUTHENTICATE, "Bearer");
    }
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    response.body(body).unwrap_or_default()
}
