//! Signing in at the issuer: the browser is led there, and comes back with a code that is exchanged for an ID token. Whether that token
//! opens anything is judged as for any other token of the issuer.

use std::{net::IpAddr, sync::PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use tracing::{info, warn};
use usher_console::{
    answer, guard,
    oidc::{Client, Errand, forget, is_host},
    session::{self, Session},
};
use usher_records::RecordError;

use super::{Console, nowhere, sessions::Held, sign_in};
use crate::{doors::Doors, oidc::IssuerLogin};

/// Where a browser is led whose sign-in came to nothing; the page says so.
const FAILED: &str = "/console/?sign-in=failed";

impl Console {
    /// Leads the browser to the issuer.
    pub(super) async fn leave_for_issuer(&self, client: IpAddr, request: &Request<Bytes>) -> Response<Bytes> {
        let (Some(issuer), Some(host)) = (&self.issuer, host(request)) else { return nowhere() };
        let (address, now) = (sign_in::origin(client), self.clock.now());
        let waiting = self.failures.lock().unwrap_or_else(PoisonError::into_inner).peek(&address, sign_in::FAILURES, now);
        if waiting.is_err() {
            return led(FAILED, &forget());
        }
        let errand = Errand::begin(self.entropy.as_ref());
        match issuer.endpoints(now).await {
            Ok(endpoints) => led(&errand.address(&endpoints.authorization, issuer.as_client(host)), &errand.cookie()),
            Err(why) => self.failed(&address, &why),
        }
    }

    /// Takes the browser back.
    pub(super) async fn return_from_issuer(
        &self,
        doors: &Doors,
        client: IpAddr,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, RecordError> {
        let (Some(issuer), Some(host)) = (&self.issuer, host(request)) else { return Ok(nowhere()) };
        let (address, now) = (sign_in::origin(client), self.clock.now());
        let Some(errand) = Errand::of(request.headers()) else {
            return Ok(self.failed(&address, "no sign-in is under way in this browser"));
        };
        let query = request.uri().query().unwrap_or_default();
        let token = match token(issuer, &errand, query, issuer.as_client(host), now).await {
            Ok(token) => token,
            Err(why) => return Ok(self.failed(&address, &why)),
        };
        let Some(actor) = self.opens(doors, token.expose()).await else {
            return Ok(
                self.failed(&address, "the ID token does not open the management API; it must have the audience and claim of [oidc]")
            );
        };
        // The session is the console's own: an ID token says who came, not how long they may stay.
        let (id, session) = (session::random(self.entropy.as_ref()), Session::begin("", now, self.entropy.as_ref()));
        self.sessions.begin(id.expose(), &Held { session, actor }, now).await?;
        info!(address, "signed in to the console through the issuer");
        let mut response = led(usher_console::PATH, &forget());
        response.headers_mut().extend(HeaderValue::from_str(&guard::begin(id.expose())).ok().map(|cookie| (header::SET_COOKIE, cookie)));
        Ok(response)
    }

    fn failed(&self, address: &str, why: &str) -> Response<Bytes> {
        let _ = self.failures.lock().unwrap_or_else(PoisonError::into_inner).take(address, sign_in::FAILURES, self.clock.now());
        let mend = "See docs/console.md for what the issuer must know of this server: a public client with PKCE and the redirect URI.";
        warn!(address, check = "console.signIn.oidc", detail = why, mend, "sign-in through the issuer refused");
        led(FAILED, &forget())
    }
}

async fn token(
    issuer: &IssuerLogin,
    errand: &Errand,
    query: &str,
    client: Client<'_>,
    now: usher_domain::Timestamp,
) -> Result<usher_domain::Secret, String> {
    let code = errand.code(query)?;
    let answer = issuer.exchange(errand.exchange(&code, client), now).await?;
    errand.id_token(&answer)
}

fn host(request: &Request<Bytes>) -> Option<&str> {
    request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_host(host))
}

fn led(to: &str, cookie: &str) -> Response<Bytes> {
    let mut response = answer::empty(StatusCode::FOUND);
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(to).ok().map(|to| (header::LOCATION, to)));
    headers.extend(HeaderValue::from_str(cookie).ok().map(|cookie| (header::SET_COOKIE, cookie)));
    response
}
