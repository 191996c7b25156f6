//! What a hub's answers mean. Pure: a status, headers and a body go in.
//!
//! Errors are `{"Message":"ErrorCode:DeviceNotFound;…"}`, with the code in the header `iothub-errorcode` too (docs/protocol/
//! hub-service.md, "Errors").

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::Value;
use usher_hub::HubError;

/// The wait where a throttling hub names none, in seconds.
const RETRY_AFTER_DEFAULT_S: u32 = 5;
/// The longest wait that a hub may ask for, in seconds. It counts for every device that goes there.
const RETRY_AFTER_MAX_S: u32 = 300;
/// How much of a hub's own words goes into the log, in characters.
const WORDS_MAX: usize = 300;

/// An answer to a request about one device.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done; the body where it is JSON.
    Done(Value),
    /// There is no such device.
    NoDevice,
    /// There is such a device already.
    Exists,
    /// The device was changed since it was read.
    Changed,
}

/// Reads an answer.
pub fn read(response: &Response<Bytes>) -> Result<Answer, HubError> {
    let status = response.status();
    if status.is_success() {
        return Ok(Answer::Done(serde_json::from_slice(response.body()).unwrap_or(Value::Null)));
    }
    let code = code_of(response);
    match (status, code.as_str()) {
        // A 404 of something in between must not pass for a device that is gone.
        (StatusCode::NOT_FOUND, "" | "DeviceNotFound") => Ok(Answer::NoDevice),
        (StatusCode::CONFLICT, "" | "DeviceAlreadyExists") => Ok(Answer::Exists),
        (StatusCode::PRECONDITION_FAILED, _) | (StatusCode::CONFLICT, _) => Ok(Answer::Changed),
        _ => Err(error(response, status, &code)),
    }
}

fn error(response: &Response<Bytes>, status: StatusCode, code: &str) -> HubError {
    let why = || format!("HTTP {}: {}", status.as_u16(), words(response, code));
    match status.as_u16() {
        429 => HubError::Throttled { retry_after_s: retry_after(response) },
        // A used-up quota is told as 403 too.
        403 if code.contains("Quota") || code.contains("TooMany") => HubError::Rejected(why()),
        401 | 403 => HubError::Unauthorized(why()),
        408 | 500.. => HubError::Unavailable(why()),
        _ => HubError::Rejected(why()),
    }
}

/// Seconds in `Retry-After`; a date there is not worth a parser, since hubs send seconds.
fn retry_after(response: &Response<Bytes>) -> u32 {
    let told = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    told.unwrap_or(RETRY_AFTER_DEFAULT_S).min(RETRY_AFTER_MAX_S)
}

fn code_of(response: &Response<Bytes>) -> String {
    if let Some(code) = response.headers().get("iothub-errorcode").and_then(|value| value.to_str().ok()) {
        return code.to_owned();
    }
    let message = message_of(response);
    let coded = message.strip_prefix("ErrorCode:").and_then(|rest| rest.split(';').next());
    coded.unwrap_or_default().to_owned()
}

fn message_of(response: &Response<Bytes>) -> String {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    body.get("Message").or(body.get("message")).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn words(response: &Response<Bytes>, code: &str) -> String {
    let message = message_of(response);
    let words = if message.is_empty() { code.to_owned() } else { message };
    shown(&words)
}

/// A hub's own words, fit for a line of the log.
fn shown(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

/// How a bulk request with one device ended (`BulkRegistryOperationResult`).
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// The device was made, with its twin.
    Whole,
    /// The device was made, its twin not (warning `DeviceRegisteredWithoutTwin`).
    WithoutTwin,
    /// It was there already.
    Exists,
}

/// Reads the answer to a bulk request with one device. 400 carries a result as well.
pub fn read_created(response: &Response<Bytes>) -> Result<Created, HubError> {
    let result: Value = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
    let is_result = result.get("isSuccessful").is_some();
    if !(is_result && (response.status().is_success() || response.status() == StatusCode::BAD_REQUEST)) {
        return match read(response)? {
            Answer::Exists => Ok(Created::Exists),
            other => {
                let (status, other) = (response.status().as_u16(), shown(&format!("{other:?}")));
                Err(HubError::Rejected(format!("the bulk request was answered with {status}: {other}")))
            }
        };
    }
    if let Some(failed) = result.get("errors").and_then(Value::as_array).and_then(|errors| errors.first()) {
        return bulk_error(failed, response);
    }
    let warnings = result.get("warnings").and_then(Value::as_array).map_or(0, Vec::len);
    match (result.get("isSuccessful"), warnings) {
        (Some(Value::Bool(true)), 0) => Ok(Created::Whole),
        (Some(Value::Bool(true)), _) => Ok(Created::WithoutTwin),
        _ => Err(HubError::Unavailable("the bulk request failed without a reason".into())),
    }
}

/// An item's error. `errorCode` is the code's name, or its number, of which the first three digits are an HTTP status.
fn bulk_error(failed: &Value, response: &Response<Bytes>) -> Result<Created, HubError> {
    let code = failed.get("errorCode").unwrap_or(&Value::Null);
    let name = code.as_str().unwrap_or_default();
    let status = code.as_u64().or(name.parse().ok()).map(|number| number / 1_000);
    let told = failed.get("errorStatus").and_then(Value::as_str).unwrap_or_default();
    let why = format!("{} {}", shown(&code.to_string()), shown(told));
    match (name, status) {
        ("DeviceAlreadyExists", _) | (_, Some(409)) => Ok(Created::Exists),
        ("ThrottlingException" | "ThrottleBacklogLimitExceeded", _) | (_, Some(429)) => {
            Err(HubError::Throttled { retry_after_s: retry_after(response) })
        }
        ("ServerError" | "ServiceUnavailable" | "GatewayTimeout" | "ConcurrentChange", _) | (_, Some(500..)) => {
            Err(HubError::Unavailable(why))
        }
        ("IotHubUnauthorizedAccess" | "IotHubUnauthorized", _) | (_, Some(401)) => Err(HubError::Unauthorized(why)),
        _ => Err(HubError::Rejected(why)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: &Value) -> Response<Bytes> {
        let mut builder = Response::builder().status(status);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Bytes::from(body.to_string())).unwrap()
    }

    fn told(code: &str) -> Value {
        json!({ "Message": format!("ErrorCode:{code};words"), "ExceptionMessage": "Tracking ID:x" })
    }

    #[test]
    fn statuses_mean_what_provisioning_needs_to_know() {
        let kind = |error: &HubError| match error {
            HubError::Unavailable(_) => "unavailable",
            HubError::Unauthorized(_) => "unauthorized",
            HubError::Rejected(_) => "rejected",
            HubError::Throttled { .. } => "throttled",
        };
        for (status, code, expected) in [
            (401, "IotHubUnauthorizedAccess", "unauthorized"),
            (403, "IotHubUnauthorized", "unauthorized"),
            (403, "IotHubQuotaExceeded", "rejected"),
            (400, "ArgumentInvalid", "rejected"),
            (413, "TooManyDevices", "rejected"),
            (404, "IotHubNotFound", "rejected"),
            (302, "", "rejected"),
            (408, "", "unavailable"),
            (500, "ServerError", "unavailable"),
            (503, "ServiceUnavailable", "unavailable"),
            (504, "", "unavailable"),
        ] {
            let error = read(&response(status, &[], &told(code))).unwrap_err();
            assert_eq!(kind(&error), expected, "{status} {code}: {error:?}");
        }
    }

    #[test]
    fn what_became_of_the_device_is_no_error() {
        assert_eq!(read(&response(404, &[], &told("DeviceNotFound"))), Ok(Answer::NoDevice));
        assert_eq!(read(&response(404, &[], &Value::Null)), Ok(Answer::NoDevice));
        assert_eq!(read(&response(409, &[], &told("DeviceAlreadyExists"))), Ok(Answer::Exists));
        assert_eq!(read(&response(412, &[("iothub-errorcode", "PreconditionFailed")], &Value::Null)), Ok(Answer::Changed));
        assert_eq!(read(&Response::builder().status(204).body(Bytes::new()).unwrap()), Ok(Answer::Done(Value::Null)));
    }

    #[test]
    fn a_throttling_hub_says_how_long_within_reason() {
        for (told, expected) in [("7", 7), ("900", RETRY_AFTER_MAX_S), ("soon", RETRY_AFTER_DEFAULT_S)] {
            let error = read(&response(429, &[("retry-after", told)], &Value::Null)).unwrap_err();
            assert_eq!(error, HubError::Throttled { retry_after_s: expected });
        }
    }

    #[test]
    fn a_hub_cannot_fill_the_log() {
        let long = "x\n".repeat(100_000);
        for body in [
            json!({ "Message": long }),
            json!({ "deviceId": long }),
            json!({"isSuccessful": false, "errors": [{"errorCode": long, "errorStatus": long}]}),
        ] {
            for status in [200, 400] {
                let Err(error) = read_created(&response(status, &[], &body)) else { continue };
                let words = error.to_string();
                assert!(words.chars().count() < 3 * WORDS_MAX && !words.contains('\n'), "{}", words.len());
            }
        }
    }

    #[test]
    fn bulk_results_are_read_by_name_and_by_number() {
        let failed = |code: Value| json!({"isSuccessful": false, "errors": [{"deviceId": "d", "errorCode": code, "errorStatus": "w"}]});
        for code in [json!("DeviceAlreadyExists"), json!(409_001), json!("409001")] {
            assert_eq!(read_created(&response(400, &[], &failed(code))), Ok(Created::Exists));
        }
        for code in [json!("ThrottlingException"), json!(429_001)] {
            assert!(matches!(read_created(&response(400, &[], &failed(code))), Err(HubError::Throttled { .. })));
        }
        assert!(matches!(read_created(&response(400, &[], &failed(json!(500_001)))), Err(HubError::Unavailable(_))));
        assert!(matches!(read_created(&response(400, &[], &failed(json!("ArgumentInvalid")))), Err(HubError::Rejected(_))));
        assert!(matches!(read_created(&response(400, &[], &told("ArgumentInvalid"))), Err(HubError::Rejected(_))));
        assert!(matches!(read_created(&response(401, &[], &told("IotHubUnauthorizedAccess"))), Err(HubError::Unauthorized(_))));
        let warned = json!({"isSuccessful": true, "errors": [], "warnings": [{"warningCode": "DeviceRegisteredWithoutTwin"}]});
        assert_eq!(read_created(&response(200, &[], &warned)), Ok(Created::WithoutTwin));
        assert_eq!(read_created(&response(200, &[], &json!({"isSuccessful": true}))), Ok(Created::Whole));
    }
}
