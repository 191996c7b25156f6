//! Answers, and refusals in IoT Hub's shape: `{"Message":"ErrorCode:…;…","ExceptionMessage":"Tracking ID:…"}` with the header
//! `iothub-errorcode` (azure-iot-sdk-node: common/transport/http/src/http.ts `parseErrorBody`; azure-iot-sdk-csharp: service
//! ExceptionHandlingHelper.cs).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use usher_domain::{Timestamp, TrackingId};
use usher_hub_embedded::{Code, Fault};

use crate::access::Refusal;

/// A refusal: what the client hears and, where a check of access failed, what the log hears besides.
pub struct Refused {
    /// For the client.
    pub fault: Fault,
    refusal: Option<Refusal>,
    allow: Option<String>,
    shape: Shape,
}

/// Direct methods have a refusal's shape of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Method,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, refusal: None, allow: None, shape: Shape::Plain }
    }
}

impl Refused {
    /// A failed check of access.
    pub fn checked(fault: Fault, refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::from(fault) }
    }

    /// A failed method call, whose `Message` is JSON in itself (azure-iot-sdk-csharp issue 3442 shows one).
    pub fn method(fault: Fault) -> Self {
        Self { shape: Shape::Method, ..Self::from(fault) }
    }

    /// With the verbs that the path takes.
    pub fn with_allow(self, verbs: &[&str]) -> Self {
        Self { allow: Some(verbs.join(", ")), ..self }
    }

    /// The failed check's name.
    pub fn check(&self) -> &'static str {
        self.refusal.as_ref().map_or(self.fault.code.name(), |refusal| refusal.check)
    }

    /// What the check found.
    pub fn detail(&self) -> &str {
        self.refusal.as_ref().map_or("", |refusal| refusal.detail.as_str())
    }
}

/// A JSON answer.
pub fn json(body: &Value) -> Response<Bytes> {
    with_status(StatusCode::OK, body)
}

/// A JSON answer with a status.
pub fn with_status(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// A JSON answer with an ETag, given unquoted.
pub fn with_etag(body: &Value, etag: &str) -> Response<Bytes> {
    let mut response = json(body);
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// 204.
pub fn no_content() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A refusal as the client sees it.
pub fn refuse(refused: &Refused, tracking_id: &TrackingId, now: Timestamp) -> Response<Bytes> {
    let Refused { fault, allow, shape, .. } = refused;
    let body = match shape {
        Shape::Plain => plain_body(fault, tracking_id, now),
        Shape::Method => method_body(fault, tracking_id, now),
    };
    let status = StatusCode::from_u16(fault.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_status(status, &body);
    let headers = response.headers_mut();
    headers.insert("iothub-errorcode", HeaderValue::from_static(fault.code.name()));
    if let Some(allow) = allow.as_deref().and_then(|allow| HeaderValue::from_str(allow).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    if matches!(fault.code, Code::ThrottlingException | Code::ServiceUnavailable) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}

fn plain_body(fault: &Fault, tracking_id: &TrackingId, now: Timestamp) -> Value {
    json!({
        "Message": format!("ErrorCode:{};{}", fault.code.name(), fault.message),
        "ExceptionMessage": format!("Tracking ID:{tracking_id}-TimeStamp:{now}"),
    })
}

fn method_body(fault: &Fault, tracking_id: &TrackingId, now: Timestamp) -> Value {
    let inner = json!({
        "errorCode": fault.code.number(), "trackingId": tracking_id.as_str(),
        "message": fault.message, "timestampUtc": now.to_string(),
    });
    json!({ "Message": inner.to_string(), "ExceptionMessage": "" })
}
