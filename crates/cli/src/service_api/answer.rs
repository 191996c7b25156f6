//! What the service API answers.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use serde_json::Value;
use usher_device::Failure;

/// The longest pause that is believed; a service that says more is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// An answer of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long to wait, where the service says it.
    pub retry_after: Option<Duration>,
    /// The next page's token.
    pub continuation: Option<String>,
    /// The body; null where there is none.
    pub body: Value,
}

/// Why the service refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The service's error code, 0 where it tells none.
    pub code: u64,
    /// Its sentence.
    pub message: String,
    /// By which its log tells more.
    pub tracking_id: String,
}

impl Answer {
    /// Reads an answer.
    pub fn read(answer: &Response<Bytes>) -> Self {
        let text = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        let retry_after = text(header::RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
        Self {
            status: answer.status().as_u16(),
            retry_after: retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX)),
            continuation: text("x-ms-continuation").map(str::to_owned),
            body: serde_json::from_slice(answer.body()).unwrap_or_default(),
        }
    }

    /// The body of a success.
    pub fn accepted(self) -> Result<Value, Refusal> {
        if (200..300).contains(&self.status) { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// What a refusal says.
    pub fn refusal(&self) -> Refusal {
        Refusal {
            status: self.status,
            code: self.body["errorCode"].as_u64().unwrap_or_default(),
            message: self.body["message"].as_str().unwrap_or("no message").to_owned(),
            tracking_id: self.body["trackingId"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

impl Refusal {
    /// For people: what to do depends on the status.
    pub fn failure(&self) -> Failure {
        let code = if self.code == 0 { String::new() } else { format!(" (error code {})", self.code) };
        let next = match self.status {
            401 => {
                "Check the connection string: its host, policy and key, and that the policy holds the right (`usher service keys`).".into()
            }
            404 => "Check the ID, and that this is the service meant.".into(),
            409 | 412 => "Look at what is there now, and repeat the change if it is still wanted.".into(),
            429 => "Wait a moment and try again; docs/limits.md tells the service's rates.".into(),
            400..=499 => "Correct the request as the message says; docs/errors.md tells more of the code.".into(),
            _ if self.tracking_id.is_empty() => "See the server's log.".into(),
            _ => format!("The server's log tells more: look for tracking ID {}.", self.tracking_id),
        };
        Failure::new("service API", format!("answered {}: {}{code}", self.status, self.message), next)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &'static str) -> Answer {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        Answer::read(&response.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    #[test]
    fn headers_are_read_and_bounded() {
        let page = answer(200, &[("x-ms-continuation", "t"), ("retry-after", "7")], "[1]");
        assert_eq!((page.continuation.as_deref(), page.retry_after), (Some("t"), Some(Duration::from_secs(7))));
        assert_eq!(answer(429, &[("retry-after", "999999")], "").retry_after, Some(RETRY_AFTER_MAX));
        assert_eq!(answer(429, &[("retry-after", "soon")], "").retry_after, None);
    }

    #[test]
    fn a_refusal_tells_code_and_what_to_do() {
        let refused = answer(412, &[], r#"{"errorCode":412001,"message":"Changed.","trackingId":"t-1"}"#).accepted().unwrap_err();
        let text = refused.failure().to_string();
        assert!(text.contains("412: Changed. (error code 412001)") && text.contains("what is there now"), "{text}");
        assert!(answer(500, &[], r#"{"trackingId":"t-2"}"#).refusal().failure().next.contains("t-2"));
    }
}
