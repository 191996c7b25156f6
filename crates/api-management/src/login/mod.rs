//! The log-in that `az login --service-principal` and MSAL expect of a directory: the client credentials grant (RFC 6749 section 4.4) for
//! the one administrator, with the admin token as secret, answered with a token for an hour.

mod documents;
mod route;
mod token;

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use usher_domain::{Secret, Timestamp, TrackingId, service_limits::Rate};
use usher_throttle::{Keyed, Wait, origin};

pub use route::LoginRoute;
pub use token::Worth;

/// The client that logs in: the installation's administrator. A UUID, since tools want one; the words `usher-admin` are taken too.
pub const CLIENT_ID: &str = "00000000-0000-0000-0000-0000000000ad";
const CLIENT_WORD: &str = "usher-admin";
/// Failed log-ins from one address. The secret has 256 bits, so that this is not what keeps guessers out; it keeps them from the log.
const FAILURES: Rate = Rate::of(10, 60);
/// Largest form, in bytes; MSAL sends less than one thousand, with a secret of 64.
const FORM_BYTES_MAX: usize = 8 * 1024;

/// Where a request comes from, as the listener knows it; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

/// The log-in of one node.
pub struct Login {
    /// What tokens are signed with; the same on every node.
    key: Secret,
    failures: Mutex<Keyed>,
}

/// A log-in that failed, in OAuth's words (RFC 6749 section 5.2).
struct Failed {
    status: u16,
    error: &'static str,
    why: &'static str,
    mend: &'static str,
    wait_s: Option<u32>,
}

impl Login {
    /// A log-in whose tokens are signed with `key`: at least 32 random bytes, as text of any form.
    pub fn new(key: Secret) -> Self {
        Self { key, failures: Mutex::default() }
    }

    /// What a token of a log-in is worth.
    pub fn judge(&self, token: &str, now: Timestamp) -> Worth {
        token::judge(&self.key, token, now)
    }

    /// Answers a request; `base` is this API's own URL and `admin` the secret that is asked for.
    pub fn answer(
        &self,
        route: &LoginRoute,
        request: &Request<Bytes>,
        base: &str,
        admin: &Secret,
        at: (Timestamp, &TrackingId),
    ) -> Response<Bytes> {
        let (now, tracking_id) = at;
        let expected = if *route == LoginRoute::Token { "POST" } else { "GET" };
        if request.method() != expected {
            let body = json!({ "error": "invalid_request", "error_description": format!("This path takes {expected}.") });
            let mut refusal = told(405, None, &body, tracking_id);
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static(expected));
            return refusal;
        }
        match route {
            LoginRoute::Endpoints => told(200, None, &documents::endpoints(base), tracking_id),
            LoginRoute::Instances => told(200, None, &documents::instances(base), tracking_id),
            LoginRoute::OpenId(tenant) => told(200, None, &documents::openid(base, tenant), tracking_id),
            LoginRoute::Token => self.token(request, admin, now, tracking_id),
        }
    }

    fn token(&self, request: &Request<Bytes>, admin: &Secret, now: Timestamp, tracking_id: &TrackingId) -> Response<Bytes> {
        let address = request.extensions().get::<ClientAddress>().map(|address| origin(address.0).to_string()).unwrap_or_default();
        match self.grant(request, admin, &address, now) {
            Ok(client) => {
                tracing::info!(%tracking_id, client, address, "logged in");
                let token = token::issue(&self.key, &client, now);
                let lifetime = token::LIFETIME_S;
                let body =
                    json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token.expose() });
                told(200, None, &body, tracking_id)
            }
            Err(Failed { status, error, why, mend, wait_s }) => {
                tracing::warn!(%tracking_id, address, check = error, detail = why, mend, "log-in refused");
                let body = json!({
                    "error": error, "error_description": format!("{why} {mend} Trace ID: {tracking_id}"), "trace_id": tracking_id.as_str(),
                });
                told(status, wait_s, &body, tracking_id)
            }
        }
    }

    fn grant(&self, request: &Request<Bytes>, admin: &Secret, address: &str, now: Timestamp) -> Result<String, Failed> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.peek(address, FAILURES, now).map_err(too_many)?;
        let form = Form::read(request)?;
        if form.get("grant_type") != Some("client_credentials") {
            let mend = "Log in as a service principal with a secret: az login --service-principal.";
            return Err(failed(400, "unsupported_grant_type", "Only the grant client_credentials is given here.", mend));
        }
        let (client, secret) = form.credentials(request.headers());
        let is_known = [CLIENT_ID, CLIENT_WORD].iter().any(|known| known.eq_ignore_ascii_case(&client));
        let expected = admin.expose().as_bytes();
        let is_right = aws_lc_rs::constant_time::verify_slices_are_equal(secret.as_bytes(), expected).is_ok();
        if is_known && is_right {
            return Ok(client);
        }
        let _ = failures.take(address, FAILURES, now);
        let mend = "Log in as client 00000000-0000-0000-0000-0000000000ad with the admin token (management.token of dev.json) as secret.";
        Err(failed(401, "invalid_client", "Client or secret is wrong.", mend))
    }
}

fn failed(status: u16, error: &'static str, why: &'static str, mend: &'static str) -> Failed {
    Failed { status, error, why, mend, wait_s: None }
}

fn too_many(wait: Wait) -> Failed {
    let mend = "Wait as long as Retry-After says, and correct the secret.";
    Failed {
        wait_s: Some(wait.seconds()),
        ..failed(429, "temporarily_unavailable", "Too many log-ins from this address have failed.", mend)
    }
}

/// The fields of a form. No `Debug`: one of them is the secret.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(request: &Request<Bytes>) -> Result<Self, Failed> {
        let mend = "Send the form that RFC 6749 section 4.4.2 describes.";
        if request.body().len() > FORM_BYTES_MAX {
            return Err(failed(400, "invalid_request", "The form is longer than 8 KiB.", mend));
        }
        let text = std::str::from_utf8(request.body()).map_err(|_| failed(400, "invalid_request", "The form is not text.", mend))?;
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        Ok(Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Client and secret: from the form, or from basic authentication (RFC 6749 section 2.3.1).
    fn credentials(&self, headers: &HeaderMap) -> (String, String) {
        let of = |name| self.get(name).unwrap_or_default().to_owned();
        basic(headers).unwrap_or_else(|| (of("client_id"), of("client_secret")))
    }
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let text = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, value.trim()).ok()?;
    let (client, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (decoded(client), decoded(secret)))
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn told(status: u16, wait_s: Option<u32>, body: &Value, tracking_id: &TrackingId) -> Response<Bytes> {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        // Tokens must not be kept by anything on their way (RFC 6749 section 5.1).
        .header(header::CACHE_CONTROL, "no-store")
        .header("x-ms-request-id", tracking_id.as_str());
    if let Some(seconds) = wait_s {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.body(Bytes::from(body.to_string())).unwrap_or_default()
}
