//! What a device is answered, before a transport frames it: status, body and when to come back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use usher_domain::{ServiceError, Timestamp, TrackingId, document::OperationStatusDocument};
use usher_provisioning::{Claim, Engine};

use crate::ascii_json;

/// An answer for a transport to frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status, also in MQTT topics.
    pub status: u16,
    /// Seconds, where the device is to come back.
    pub retry_after_s: Option<u32>,
    /// JSON, ASCII only.
    pub body: Vec<u8>,
    /// The error table's name, for `x-ms-error-code`.
    pub error: Option<&'static str>,
}

impl Outcome {
    /// The answer to register or a poll: 202 while assigning, with the time of the next poll, 200 when final.
    pub async fn operation(engine: &Engine, claim: &Claim, document: &OperationStatusDocument) -> Self {
        let body = ascii_json::to_vec(document);
        if document.status != "assigning" {
            return Self { status: 200, retry_after_s: None, body, error: None };
        }
        Self { status: 202, retry_after_s: Some(engine.poll_after_s(&claim.id_scope).await), body, error: None }
    }

    /// A TPM's challenge: 401 with the blob. No `status` member, by whose absence the C SDK knows it, and with the `keyName` that it
    /// demands (azure-iot-sdk-c: prov_device_ll_client.c).
    pub fn challenge(blob: &[u8]) -> Self {
        let body = json!({
            "message": "Authorization required.",
            "authenticationKey": STANDARD.encode(blob),
            "keyName": "registration",
        });
        Self { status: 401, retry_after_s: None, body: ascii_json::to_vec(&body), error: None }
    }

    /// A refusal, in the service's error shape.
    pub fn error(error: &ServiceError, tracking_id: &TrackingId, now: Timestamp) -> Self {
        let body = error.body(tracking_id, now);
        let body = serde_json::from_slice::<serde_json::Value>(&body).map_or(body, |json| ascii_json::to_vec(&json));
        Self { status: error.code.status(), retry_after_s: error.retry_after_s, body, error: Some(error.code.name()) }
    }
}
