//! Signing in with a token that opens the management API, and out again.

use std::{net::IpAddr, sync::PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tracing::{info, warn};
use usher_audit::Actor;
use usher_console::{
    answer, guard,
    session::{self, IDLE_S, Session},
};
use usher_domain::service_limits::Rate;
use usher_records::RecordError;

use super::{Console, Known, forged, nowhere, sessions::Held};
use crate::doors::Doors;

/// Attempts to sign in that may fail, of one address. Tokens have 256 bits or a signature, so that this is not what keeps guessers out.
pub(super) const FAILURES: Rate = Rate::of(10, 60);
/// Longest token, in bytes: what the management API takes.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

impl Console {
    /// `GET`, `POST` and `DELETE` of the session.
    pub(super) async fn session(
        &self,
        known: Option<Known>,
        doors: &Doors,
        client: IpAddr,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, RecordError> {
        match (request.method(), known) {
            (&Method::GET, Some(known)) => Ok(answer::document(StatusCode::OK, &told(&known.session, doors))),
            (&Method::GET, None) => Ok(answer::document(StatusCode::OK, &json!({ "signedIn": false, "issuer": self.issuer.is_some() }))),
            (&Method::POST, known) => self.sign_in(known, doors, client, request).await,
            (&Method::DELETE, Some(known)) => self.sign_out(&known, client, request).await,
            (&Method::DELETE, None) => Ok(with_cookie(answer::empty(StatusCode::NO_CONTENT), &guard::end())),
            _ => Ok(nowhere()),
        }
    }

    async fn sign_in(
        &self,
        known: Option<Known>,
        doors: &Doors,
        client: IpAddr,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, RecordError> {
        let (address, now) = (origin(client), self.clock.now());
        let waiting = self.failures.lock().unwrap_or_else(PoisonError::into_inner).peek(&address, FAILURES, now);
        if let Err(wait) = waiting {
            warn!(address, check = "console.signIn.rate", mend = "Wait, and look who is trying.", "sign-in refused: too many have failed");
            let next = format!("Wait {} s and try again with the right token.", wait.seconds());
            return Ok(answer::refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts to sign in from your address have failed.",
                &next,
            ));
        }
        // A page of another site can send a form, but no JSON without being asked for leave.
        let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let token = body["token"].as_str().map(str::trim).unwrap_or_default();
        let actor = if is_json { self.opens(doors, token).await } else { None };
        let Some(actor) = actor else {
            let _ = self.failures.lock().unwrap_or_else(PoisonError::into_inner).take(&address, FAILURES, now);
            let mend = "Sign in with management.token of dev.json, the [admin] token, or a token of the OIDC issuer.";
            warn!(address, check = "console.signIn", detail = "the token does not open the management API", mend, "sign-in refused");
            let next = "Copy management.token from dev.json (usher dev), or the token of [admin] (usher serve). A token of your OIDC issuer counts too.";
            return Ok(answer::refusal(StatusCode::FORBIDDEN, "This token does not open the management API.", next));
        };
        // A fresh ID each time: one that somebody planted in the browser before is worth nothing.
        if let Some(known) = known {
            self.sessions.end(&known.id).await?;
        }
        let (id, session) = (session::random(self.entropy.as_ref()), Session::begin(token, now, self.entropy.as_ref()));
        self.sessions.begin(id.expose(), &Held { session: session.clone(), actor }, now).await?;
        info!(address, "signed in to the console");
        Ok(with_cookie(answer::document(StatusCode::OK, &told(&session, doors)), &guard::begin(id.expose())))
    }

    async fn sign_out(&self, known: &Known, client: IpAddr, request: &Request<Bytes>) -> Result<Response<Bytes>, RecordError> {
        let shown = request.headers().get(guard::CSRF_HEADER).and_then(|value| value.to_str().ok());
        if !known.session.is_shown(shown) {
            return Ok(forged());
        }
        self.sessions.end(&known.id).await?;
        info!(address = origin(client), "signed out of the console");
        Ok(with_cookie(answer::empty(StatusCode::NO_CONTENT), &guard::end()))
    }

    pub(super) async fn opens(&self, doors: &Doors, token: &str) -> Option<Actor> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        doors.management.admitted(&HeaderMap::from_iter([(header::AUTHORIZATION, value)])).await
    }
}

fn told(session: &Session, doors: &Doors) -> Value {
    json!({
        "signedIn": true,
        "csrf": session.csrf.expose(),
        "ends": session.ends,
        "idleSeconds": IDLE_S,
        "nodeStarted": doors.started,
        "version": env!("CARGO_PKG_VERSION"),
    })
}

fn with_cookie(mut response: Response<Bytes>, cookie: &str) -> Response<Bytes> {
    response.headers_mut().extend(HeaderValue::from_str(cookie).ok().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

/// The address that failures are counted by.
pub(super) fn origin(address: IpAddr) -> String {
    usher_throttle::origin(address).to_string()
}
