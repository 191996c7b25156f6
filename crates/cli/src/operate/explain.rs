//! `usher explain`: why a device got in, or not.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;
use usher_device::Failure;
use usher_domain::attempt::{Attempt, Outcome};

use super::{Session, arguments::Explain, id_of};

/// What the management API tells of a device.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    registration_id: String,
    service: String,
    enrollment: Option<Enrolled>,
    registration: Option<Registered>,
    attempts: Vec<Attempt>,
    next: String,
}

#[derive(Deserialize)]
struct Enrolled {
    attestation: String,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    status: String,
    assigned_hub: Option<String>,
    device_id: Option<String>,
    enrollment_group_id: Option<String>,
}

pub async fn run(arguments: Explain) -> Result<(), String> {
    let told = ask(&arguments).await.map_err(|why| why.to_string())?;
    if arguments.of.reach.json {
        say!("{told:#}");
        return Ok(());
    }
    let explanation: Explanation = serde_json::from_value(told).map_err(|why| format!("the server's answer is of another shape: {why}"))?;
    print!("{}", text(&explanation));
    Ok(())
}

async fn ask(arguments: &Explain) -> Result<Value, Failure> {
    let session = Session::open(&arguments.of.reach)?;
    let service = session.service(arguments.of.service.as_deref()).await?;
    session.get(&format!("{}/attempts/{}", id_of(&service)?, escaped(&arguments.registration_id))).await
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The explanation for people: what is known of the device, its attempts, newest first, and what to do next.
fn text(told: &Explanation) -> String {
    let mut lines = vec![format!("{} in the service {}", printable(&told.registration_id), printable(&told.service))];
    lines.push(match &told.enrollment {
        Some(found) => {
            format!("  enrolled      individually, {} attestation{}", found.attestation, if found.enabled { "" } else { ", disabled" })
        }
        None => "  enrolled      not individually".to_owned(),
    });
    lines.push(format!("  registration  {}", told.registration.as_ref().map_or_else(|| "none".to_owned(), registered)));
    if told.attempts.is_empty() {
        lines.push("  attempts      none kept".to_owned());
    }
    for attempt in &told.attempts {
        lines.push(String::new());
        lines.extend(attempt_lines(attempt));
    }
    lines.push(String::new());
    lines.push(format!("What to do next: {}", printable(&told.next)));
    lines.join("\n") + "\n"
}

fn registered(found: &Registered) -> String {
    let mut text = found.status.clone();
    if let (Some(hub), Some(device)) = (&found.assigned_hub, &found.device_id) {
        text.push_str(&format!(", on {hub} as {device}"));
    }
    if let Some(group) = &found.enrollment_group_id {
        text.push_str(&format!(", by the group {group}"));
    }
    printable(&text)
}

fn attempt_lines(attempt: &Attempt) -> Vec<String> {
    let from = attempt.peer.map(|peer| format!(" from {peer}")).unwrap_or_default();
    let over = if attempt.transport.is_empty() { String::new() } else { format!(" over {}", attempt.transport) };
    let version = if attempt.api_version.is_empty() { String::new() } else { format!(", API version {}", attempt.api_version) };
    let head = format!("{}  {}{over}{from}{version}: {}", attempt.at, attempt.request, ended(&attempt.outcome));
    let mut lines = vec![printable(&head), format!("  tracking ID {}, {} ms", attempt.tracking_id, attempt.took_ms)];
    lines.extend(attempt.checks.iter().map(|check| {
        let mark = if check.passed { '✓' } else { '✗' };
        printable(&format!("  {mark} {}: {}", check.name, check.detail))
    }));
    if let Some(next) = &attempt.outcome.next {
        lines.push(printable(&format!("  → {next}")));
    }
    lines
}

fn ended(outcome: &Outcome) -> String {
    let mut text = outcome.result.word().to_owned();
    if let (Some(hub), Some(device)) = (&outcome.hub, &outcome.device_id) {
        text.push_str(&format!(" (on {hub} as {device})"));
    }
    if let (Some(code), Some(told)) = (outcome.error_code, &outcome.told) {
        text.push_str(&format!("; the device was told {code} \"{told}\""));
    }
    text
}

/// Names that devices make up must not move the cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_is_told_check_by_check() {
        let told = json!({
            "registrationId": "dev-1", "service": "dev", "enrollment": { "kind": "individual", "attestation": "symmetricKey", "enabled": true },
            "registration": null, "next": "Check the key.",
            "attempts": [{
                "at": "2026-01-02T03:04:05.0000000Z", "tookMs": 3, "trackingId": "t-1", "registrationId": "dev-1", "idScope": "0neX",
                "request": "register", "transport": "mqtt", "peer": "192.0.2.1", "apiVersion": "2019-03-31",
                "outcome": { "result": "refused", "errorCode": 401000, "told": "Unauthorized", "next": "Check the key." },
                "checks": [{ "name": "idScope", "passed": true, "detail": "Found." }, { "name": "TokenSignature", "passed": false, "detail": "Wrong\u{1b}." }],
            }],
        });
        let shown = text(&serde_json::from_value(told).unwrap());
        for line in [
            "  enrolled      individually, symmetricKey attestation",
            "  registration  none",
            "2026-01-02T03:04:05.0000000Z  register over mqtt from 192.0.2.1, API version 2019-03-31: refused; the device was told 401000 \"Unauthorized\"",
            "  ✓ idScope: Found.",
            "  ✗ TokenSignature: Wrong\u{fffd}.",
            "What to do next: Check the key.",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
        }
    }
}
