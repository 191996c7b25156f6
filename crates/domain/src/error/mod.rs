//! Every error the service speaks: one table of status, code and message, and the shape they travel in.
//!
//! `errorCode` is the HTTP status times 1000 plus a detail (azure-sdk-for-c: az_iot_provisioning_client.c divides by 1000). Codes
//! that the cloud's clients are known to read keep the cloud's digits; the others are ours and stable.

mod table;

use std::fmt;

use serde::Serialize;

use crate::{Timestamp, TrackingId};

pub use table::ErrorCode;

/// An error as it is told to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// The table's row.
    pub code: ErrorCode,
    /// What happened and what to do, fit for the client's eyes.
    pub message: String,
    /// Seconds after which a repeat makes sense, where one does.
    pub retry_after_s: Option<u32>,
}

impl ServiceError {
    /// An error with the table's own message.
    pub fn new(code: ErrorCode) -> Self {
        Self::with(code, code.text())
    }

    /// A refusal for a rate that is used up, with the seconds after which a request will be let in.
    pub fn throttled(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self { code: ErrorCode::Throttled, message: message.into(), retry_after_s: Some(retry_after_s) }
    }

    /// An error with a closer message.
    pub fn with(code: ErrorCode, message: impl Into<String>) -> Self {
        let retry_after_s = matches!(code.status(), 429 | 503).then_some(5);
        Self { code, message: message.into(), retry_after_s }
    }

    /// The JSON body (azure-rest-api-specs: ProvisioningServiceErrorDetails).
    pub fn body(&self, tracking_id: &TrackingId, now: Timestamp) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            error_code: u32,
            tracking_id: &'a str,
            message: &'a str,
            timestamp_utc: Timestamp,
        }
        let body = Body { error_code: self.code.code(), tracking_id: tracking_id.as_str(), message: &self.message, timestamp_utc: now };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code.code(), self.code.name(), self.message)
    }
}

impl std::error::Error for ServiceError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_body_has_the_documented_members() {
        let id = TrackingId::from_random([1; 16]);
        let body = ServiceError::new(ErrorCode::Unauthorized).body(&id, Timestamp::from_secs(0));
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["errorCode"], 401000);
        assert_eq!(json["trackingId"], id.as_str());
        assert_eq!(json["message"], "Unauthorized");
        assert_eq!(json["timestampUtc"], "1970-01-01T00:00:00.0000000Z");
    }
}
