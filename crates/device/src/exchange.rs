//! What every transport lets a device do, and the conversation that is the same on all of them.

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use usher_attestation::sas;
use usher_domain::document::{OperationStatusDocument, RegisterDocument, RegistrationStateDocument};

use crate::{Credential, Failure, Profile, Tpm, trace::Trace};

/// The API version this device speaks; the one that most SDKs send.
pub const API_VERSION: &str = "2019-03-31";
/// Lifetime of the device's SAS tokens, in seconds; the Python SDK's default.
const TOKEN_LIFETIME_S: i64 = 3_600;
/// Pause between polls where the service names none, in seconds.
const POLL_AFTER_S: u64 = 2;
/// Polls before giving up.
const POLLS_MAX: u32 = 60;

/// An answer, before it is understood.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP-like status.
    pub status: u16,
    /// The service's wish.
    pub retry_after_s: Option<u64>,
    /// JSON.
    pub body: Bytes,
}

/// A transport's two requests.
pub trait Exchange {
    /// Asks to be registered.
    fn register(&mut self, body: Vec<u8>) -> impl Future<Output = Result<Answer, Failure>> + Send;
    /// Asks how an operation stands.
    fn status(&mut self, operation_id: &str) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

/// The token for the device endpoint; `None` for a device with a certificate.
pub fn token(profile: &Profile) -> Option<String> {
    match &profile.credential {
        Credential::SymmetricKey(key) => Some(sas::sign(&profile.resource(), key, expiry(), Some("registration"))),
        // A TPM has nothing to sign with before it was challenged.
        Credential::Certificate { .. } | Credential::Tpm(_) => None,
    }
}

/// When a token made now expires, in seconds since the Unix epoch.
pub fn expiry() -> i64 {
    now_s().saturating_add(TOKEN_LIFETIME_S)
}

/// The client's own clock, in seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a client reads its own clock, and may be wrong")]
pub fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// Registers and polls until the answer is final.
pub async fn converse(
    exchange: &mut impl Exchange,
    profile: &Profile,
    payload: Option<serde_json::Value>,
    trace: &Trace<'_>,
) -> Result<RegistrationStateDocument, Failure> {
    let mut answer = exchange.register(register_body(profile, payload)?).await?;
    let mut step = "register";
    for _ in 0..POLLS_MAX {
        trace.step(format!("{step} answered {}", answer.status));
        let document = understood(step, &answer)?;
        match document.status.as_str() {
            "assigned" => return assigned(document, trace),
            "assigning" => {
                let seconds = answer.retry_after_s.unwrap_or(POLL_AFTER_S);
                trace.step(format!("operation {} is under way; asking again in {seconds} s", document.operation_id));
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                answer = exchange.status(&document.operation_id).await?;
                step = "poll";
            }
            _ => return Err(ended(&document)),
        }
    }
    Err(Failure::new("poll", "the assignment did not end in time", "Is the hub reachable from the service? See the server's log."))
}

/// The body of register; with a TPM it carries its public keys.
pub fn register_body(profile: &Profile, payload: Option<serde_json::Value>) -> Result<Vec<u8>, Failure> {
    let tpm = match &profile.credential {
        Credential::Tpm(tpm) => Some(tpm.keys()),
        _ => None,
    };
    let (registration_id, csr) = (Some(profile.registration_id.clone()), profile.signing_request.clone());
    let body = RegisterDocument { registration_id, payload, tpm, csr };
    serde_json::to_vec(&body).map_err(|why| Failure::settings(why.to_string()))
}

/// Takes over the key that an answer carries for a TPM.
pub fn activate(tpm: &Tpm, blob: Option<&str>, trace: &Trace<'_>) -> Result<(), Failure> {
    let blob = blob.and_then(|text| STANDARD.decode(text).ok());
    let blob = blob.ok_or_else(|| Failure::new("TPM", "the answer carries no key for the TPM", "Is the device enrolled with its TPM?"))?;
    tpm.activate(&blob)?;
    trace.step("the TPM opened the blob and took over the key inside");
    Ok(())
}

fn understood(step: &'static str, answer: &Answer) -> Result<OperationStatusDocument, Failure> {
    if answer.status >= 300 {
        return Err(Failure::refused(step, answer.status, &answer.body));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|why| Failure::new(step, format!("the answer is not an operation status: {why}"), "Is this a provisioning service?"))
}

fn assigned(document: OperationStatusDocument, trace: &Trace<'_>) -> Result<RegistrationStateDocument, Failure> {
    let state = document.registration_state.unwrap_or_default();
    if let (Some(hub), Some(device_id)) = (&state.assigned_hub, &state.device_id) {
        trace.step(format!("assigned to hub {hub} as device {device_id} ({})", state.substatus.as_deref().unwrap_or("assigned")));
        return Ok(state);
    }
    Err(Failure::new("register", "the answer names no hub", "Is this a provisioning service?"))
}

fn ended(document: &OperationStatusDocument) -> Failure {
    let state = document.registration_state.clone().unwrap_or_default();
    if document.status == "disabled" {
        return Failure::new("register", "the device's enrollment is disabled", "Enable the enrollment.");
    }
    let code = state.error_code.map(|code| format!(" (error code {code})")).unwrap_or_default();
    let message = state.error_message.unwrap_or_else(|| format!("the registration ended as {}", document.status));
    Failure::new("register", format!("{message}{code}"), "Mend the cause, then register again.")
}
