//! A request turned away: what the log says in full, and what the client is told.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tracing::{error, warn};
use usher_domain::{ErrorCode, ServiceError, Timestamp, TrackingId};
use usher_records::RecordError;

/// Longest path that is logged, in characters.
const LOGGED_PATH_CHARS_MAX: usize = 200;

/// Why a request is turned away.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    /// The failed check, a stable word to search for.
    check: &'static str,
    /// What was found.
    detail: String,
    /// What to do about it.
    mend: &'static str,
    answer: ServiceError,
    /// Methods that the path does take.
    allow: Option<String>,
}

impl Denial {
    /// A token that does not open the door. The client is told nothing but that.
    pub fn locked(check: &'static str, detail: impl Into<String>, mend: &'static str) -> Self {
        let answer = ServiceError::new(ErrorCode::Unauthorized);
        Self { check, detail: detail.into(), mend, answer, allow: None }
    }

    /// A valid token without the right: its holder may know what is missing. 401 and not 403, which the Node SDK reads as "too many
    /// devices" (azure-iot-http-base: rest_api_client.js).
    pub fn right(detail: String, mend: &'static str) -> Self {
        let answer = ServiceError::with(ErrorCode::Unauthorized, detail.clone());
        Self { check: "token.right", detail, mend, answer, allow: None }
    }

    /// A method that the path does not take.
    pub fn method(allowed: Vec<&'static str>) -> Self {
        let why = match allowed.as_slice() {
            [] => "This path needs an ID behind it.".to_owned(),
            allowed => format!("This path takes {}.", allowed.join(", ")),
        };
        let allow = Some(allowed.join(", "));
        Self { allow, ..Self::from(ServiceError::with(ErrorCode::MethodNotAllowed, why)) }
    }

    /// Writes the full story. Faults of ours are errors, all else is a warning.
    pub fn log(&self, request: &Request<Bytes>, tracking_id: &TrackingId) {
        let path: String = request.uri().path().chars().take(LOGGED_PATH_CHARS_MAX).collect();
        let (method, code) = (request.method().as_str(), self.answer.code.code());
        let Self { check, detail, mend, .. } = self;
        if self.answer.code.status() >= 500 {
            error!(%tracking_id, method, path, code, check, detail, mend, "service request failed");
        } else {
            warn!(%tracking_id, method, path, code, check, detail, mend, "service request refused");
        }
    }

    /// The answer, in the service's error shape.
    pub fn respond(&self, tracking_id: &TrackingId, now: Timestamp) -> Response<Bytes> {
        let mut response = Response::builder()
            .status(self.answer.code.status())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("x-ms-request-id", tracking_id.as_str())
            .header("x-ms-error-code", self.answer.code.name());
        if let Some(seconds) = self.answer.retry_after_s {
            response = response.header(header::RETRY_AFTER, seconds);
        }
        if let Some(allow) = self.allow.as_ref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
            response = response.header(header::ALLOW, allow);
        }
        response.body(Bytes::from(self.answer.body(tracking_id, now))).unwrap_or_default()
    }

    pub fn status(&self) -> u16 {
        self.answer.code.status()
    }
}

impl From<ServiceError> for Denial {
    /// The message of an error says what to do where the client can do something.
    fn from(answer: ServiceError) -> Self {
        let mend = match answer.code.status() {
            500.. => "See the store's own log lines.",
            429 => "Let the client back off with jitter, or raise the service's limits.",
            404 => "Check the ID and the service's host name.",
            _ => "Correct the request as the detail says.",
        };
        Self { check: answer.code.name(), detail: answer.message.clone(), mend, answer, allow: None }
    }
}

impl From<RecordError> for Denial {
    fn from(fault: RecordError) -> Self {
        let code = match fault {
            RecordError::Unavailable(_) => ErrorCode::Unavailable,
            _ => ErrorCode::Internal,
        };
        Self { check: "store", detail: fault.to_string(), ..Self::from(ServiceError::new(code)) }
    }
}
