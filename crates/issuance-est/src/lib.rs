//! Asks a certificate authority by EST (RFC 7030, section 4.2: simple enrollment): the adapter of the port [`ExternalAuthority`].
//!
//! The request goes out as base64 of PKCS#10, with HTTP basic authentication where the policy has a user; the answer is a PKCS#7 of
//! certificates alone. The server is proved by its certificate below the trusted roots.

pub mod pkcs7;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
};
use rustls::pki_types::CertificateDer;
use usher_domain::credential_policy::EstAuthority;
use usher_issuance::{BoxFuture, ExternalAuthority, IssueError};
use usher_outbound::{Bounds, Client, OutboundError};

/// The longest that an authority may take; under the time that the engine gives a certification.
const WITHIN: Duration = Duration::from_secs(8);
/// The largest answer, in bytes: a handful of certificates in base64 with room to spare.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters in a line of base64 (RFC 2045 section 6.8: at most 76).
const LINE_CHARS: usize = 76;
/// What an answer says of itself, as much of it as is shown, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Sets of trusted roots for which a client is kept; a client of further ones is made anew each time.
const CLIENTS_MAX: usize = 64;

/// Asks authorities, each through a client that trusts its roots. Cheap to clone.
#[derive(Clone, Default)]
pub struct EstClient(Arc<Mutex<HashMap<Vec<String>, Client>>>);

impl EstClient {
    /// A client that trusts the machine's roots and these, DER in base64.
    fn client(&self, trust: &[String]) -> Result<Client, IssueError> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(trust) {
            return Ok(known.clone());
        }
        let roots = trust.iter().map(|root| STANDARD.decode(root).map(CertificateDer::from)).collect::<Result<Vec<_>, _>>();
        let made = roots.ok().and_then(|roots| Client::new(&roots).ok());
        let made = made.ok_or_else(|| IssueError::Never("The roots that the EST server is trusted by cannot be used.".into()))?;
        if clients.len() < CLIENTS_MAX {
            clients.insert(trust.to_vec(), made.clone());
        }
        Ok(made)
    }

    async fn simple_enroll(&self, authority: &EstAuthority, request: &[u8]) -> Result<Vec<Vec<u8>>, IssueError> {
        let bounds = Bounds { within: WITHIN, body_bytes_max: ANSWER_BYTES_MAX };
        let answer =
            self.client(&authority.trust)?.send(outgoing(authority, request)?, bounds).await.map_err(|error| unanswered(&error))?;
        judge(&answer)
    }
}

impl ExternalAuthority for EstClient {
    fn enroll<'a>(&'a self, authority: &'a EstAuthority, request: &'a [u8]) -> BoxFuture<'a, Result<Vec<Vec<u8>>, IssueError>> {
        Box::pin(self.simple_enroll(authority, request))
    }
}

fn outgoing(authority: &EstAuthority, request: &[u8]) -> Result<Request<Bytes>, IssueError> {
    let mut built = Request::post(enroll_url(&authority.url))
        .header(CONTENT_TYPE, "application/pkcs10")
        .header("Content-Transfer-Encoding", "base64")
        .header(ACCEPT, "application/pkcs7-mime");
    if let Some(user) = &authority.user {
        let password = authority.password.as_ref().map(|password| password.expose()).unwrap_or_default();
        let mut value =
            HeaderValue::try_from(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).map_err(|_| not_a_url())?;
        value.set_sensitive(true);
        built = built.header(AUTHORIZATION, value);
    }
    built.body(Bytes::from(in_lines(request))).map_err(|_| not_a_url())
}

/// `…/simpleenroll`; a URL that is a server's alone gets the well-known path (RFC 7030 section 3.2.2).
fn enroll_url(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { format!("{url}/simpleenroll") } else { format!("{url}/.well-known/est/simpleenroll") }
}

fn in_lines(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(LINE_CHARS).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("{}\n", lines.join("\n"))
}

fn judge(answer: &Response<Bytes>) -> Result<Vec<Vec<u8>>, IssueError> {
    let retry_after_s = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
    let why = format!("The certificate authority answered {}{}.", answer.status(), reason(answer));
    match answer.status() {
        StatusCode::OK => certificates(answer.body()),
        // 202: somebody has to approve it. 401 and 403: an operator can mend it while the device waits, and no SDK asks again after a failure.
        StatusCode::ACCEPTED | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            Err(IssueError::Later { why, retry_after_s })
        }
        status if status.is_server_error() => Err(IssueError::Later { why, retry_after_s }),
        _ => Err(IssueError::Never(why)),
    }
}

/// What a refusal says in plain text (RFC 7030 section 4.2.3), on one line.
fn reason(answer: &Response<Bytes>) -> String {
    let plain = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let text: String = String::from_utf8_lossy(answer.body()).chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
    if plain && !text.trim().is_empty() { format!(" ({})", text.trim().trim_end_matches('.')) } else { String::new() }
}

fn certificates(body: &[u8]) -> Result<Vec<Vec<u8>>, IssueError> {
    let strange = || IssueError::Never("The certificate authority's answer is not a PKCS#7 of certificates in base64.".into());
    let packed: Vec<u8> = body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let der = STANDARD.decode(packed).map_err(|_| strange())?;
    pkcs7::certificates(&der).filter(|found| !found.is_empty()).ok_or_else(strange)
}

fn unanswered(error: &OutboundError) -> IssueError {
    let why = format!("The certificate authority cannot be asked: {error}.");
    match error {
        OutboundError::Refused(_) | OutboundError::TooLarge { .. } => IssueError::Never(why),
        _ => IssueError::Later { why, retry_after_s: None },
    }
}

fn not_a_url() -> IssueError {
    IssueError::Never("The credential policy's EST URL or user cannot be used.".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_domain::Secret;

    use super::*;

    #[test]
    fn a_request_is_base64_under_the_right_path_with_the_users_password() {
        for (url, at) in [
            ("https://est.example", "/.well-known/est/simpleenroll"),
            ("https://est.example:8443/", "/.well-known/est/simpleenroll"),
            ("https://est.example/.well-known/est/plant", "/.well-known/est/plant/simpleenroll"),
        ] {
            let authority = EstAuthority {
                url: url.into(),
                user: Some("usher".into()),
                password: Some(Secret::new("p")),
                trust: Vec::new(),
                chain: Vec::new(),
            };
            let request = outgoing(&authority, &[7; 100]).unwrap();
            assert_eq!(request.uri().path(), at);
            assert_eq!(request.headers()[AUTHORIZATION], "Basic dXNoZXI6cA==");
            assert!(!format!("{request:?}").contains("dXNoZXI6cA"));
            assert!(request.body().split(|b| *b == b'\n').all(|line| line.len() <= LINE_CHARS));
        }
    }

    #[test]
    fn refusals_end_it_and_everything_else_is_tried_again() {
        for (status, again) in [(202, true), (400, false), (401, true), (404, false), (429, true), (500, true), (503, true)] {
            let answer = Response::builder().status(status).header(RETRY_AFTER, "7").header(CONTENT_TYPE, "text/plain");
            let error = judge(&answer.body(Bytes::from("no such\nprofile.")).unwrap()).unwrap_err();
            assert_eq!(matches!(error, IssueError::Later { retry_after_s: Some(7), .. }), again, "{status}");
            assert!(error.to_string().ends_with("(no suchprofile)."), "{error}");
        }
        let empty = Response::builder().status(200).body(Bytes::from("AAAA")).unwrap();
        assert!(matches!(judge(&empty), Err(IssueError::Never(_))));
    }
}
