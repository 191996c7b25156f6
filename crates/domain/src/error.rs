//! Every error the service speaks: one table of status, code and message, and the shape they travel in.
//!
//! `errorCode` is the HTTP status times 1000 plus a detail (azure-sdk-for-c: az_iot_provisioning_client.c divides by 1000). Codes
//! that the cloud's clients are known to read keep the cloud's digits; the others are ours and stable.

use std::fmt;

use serde::Serialize;

use crate::{Timestamp, TrackingId};

macro_rules! error_table {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A row of the error table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u32)]
        pub enum ErrorCode { $($(#[$doc])* $name = $code,)* }

        impl ErrorCode {
            /// All rows, in order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The message used where a check gives no closer one.
            pub const fn text(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// The row's name, sent as `x-ms-error-code`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$name => stringify!($name),)* }
            }

            /// The row with this code.
            pub const fn from_code(code: u32) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$name),)* _ => None }
            }
        }
    };
}

error_table! {
    /// The request cannot be read or breaks a rule of its model.
    BadRequest = 400000, "The request is malformed.";
    /// `api-version` is missing.
    ApiVersionMissing = 400001, "The api-version query parameter is missing.";
    /// The body is not the JSON that the operation expects.
    InvalidBody = 400004, "The request body is not valid.";
    /// A registration ID or group ID breaks the rules.
    InvalidId = 400005, "The identifier is not valid.";
    /// The custom allocation webhook refused or failed (C SDK and EMB tests: 400207).
    CustomAllocationFailed = 400207, "Custom allocation failed.";
    /// No hub could be chosen (azure-iot-sdk-c: prov_device_ll_client.c maps it to HUB_NOT_SPECIFIED).
    NoHubAvailable = 400208, "No linked hub is available for this device.";
    /// The hub refused the service's credentials (azure-iot-sdk-c: prov_device_ll_client.c maps it to UNAUTHORIZED).
    HubUnauthorized = 400209, "The hub refused the provisioning service.";
    /// The hub will not take the device: a quota or a rule of its own.
    HubRejected = 400210, "The hub rejected the device.";
    /// The hub could not be reached for longer than an operation may last.
    HubUnreachable = 400211, "The hub could not be reached.";
    /// The device did not prove who it is, or the operator's token is not valid (seen for SAS: docs/protocol/errors.md).
    Unauthorized = 401000, "Unauthorized";
    /// The device's certificate did not prove who it is (azure-sdk-for-c: az_iot_provisioning_client.c shows code and text).
    InvalidCertificate = 401002, "Invalid certificate.";
    /// The token's policy lacks the right.
    Forbidden = 403001, "The shared access policy does not hold the permission for this operation.";
    /// No such record.
    NotFound = 404201, "The resource was not found.";
    /// No such operation for this registration.
    OperationNotFound = 404202, "The operation was not found.";
    /// No such path.
    PathNotFound = 404001, "No such path.";
    /// The path does not take this verb.
    MethodNotAllowed = 405001, "The method is not allowed on this path.";
    /// The record exists already.
    Conflict = 409201, "The record exists already.";
    /// Another change to the same record was under way.
    ConcurrentChange = 409203, "Precondition failed.";
    /// The ETag given is not the record's.
    PreconditionFailed = 412001, "The ETag does not match the record's.";
    /// The body is larger than the limit.
    BodyTooLarge = 413001, "The message is larger than the limit.";
    /// The body is not JSON by its content type.
    UnsupportedMediaType = 415001, "The content type must be application/json.";
    /// A rate or quota is used up.
    Throttled = 429001, "Too many requests.";
    /// A fault of ours.
    Internal = 500001, "Internal error.";
    /// The store or the hub cannot be reached now.
    Unavailable = 503001, "The service is temporarily unavailable.";
}

impl ErrorCode {
    /// The six-digit number.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        (self as u32 / 1000) as u16
    }
}

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
    fn every_code_carries_its_status_and_is_found_again() {
        for row in ErrorCode::ALL {
            assert!((400..=599).contains(&row.status()), "{row:?}");
            assert_eq!(ErrorCode::from_code(row.code()), Some(*row));
        }
    }

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
