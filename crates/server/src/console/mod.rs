//! The web console's door: who is asking, by the session's cookie, and what they are led to. What is decided without I/O is decided in the
//! console crate.

mod oidc_sign_in;
mod read;
mod sessions;
mod sign_in;
mod watch;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tracing::error;
use usher_audit::Actor;
use usher_console::{Route, answer, guard, session::Session};
use usher_domain::clock::{Clock, Entropy};
use usher_records::{RecordError, Vault};
use usher_throttle::Keyed;

use self::sessions::Sessions;
pub use self::watch::Watch;
use crate::{doors::Doors, oidc::IssuerLogin};

/// The console of one node.
pub struct Console {
    sessions: Sessions,
    /// Failed attempts to sign in, by address.
    failures: Mutex<Keyed>,
    watch: Arc<Watch>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Where people can sign in besides, if there is an issuer.
    issuer: Option<IssuerLogin>,
}

/// A session that counts, with the ID that the browser sent.
struct Known {
    id: String,
    session: Session,
    actor: Actor,
}

impl Console {
    /// A console whose sessions are among the records of tenant 0; `watch` sees this node's attempts.
    pub fn new(system: Vault, watch: Arc<Watch>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { sessions: Sessions::new(system), failures: Mutex::default(), watch, clock, entropy, issuer: None }
    }

    /// The same with an OIDC issuer to sign in at, if there is one.
    #[must_use]
    pub fn with_issuer(self, issuer: Option<IssuerLogin>) -> Self {
        Self { issuer, ..self }
    }

    /// Answers a request to a path below `/console`.
    pub async fn answer(&self, doors: &Doors, client: IpAddr, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path().to_owned();
        match Route::of(&path) {
            Route::File(file) => page(file, &request),
            Route::Nowhere if path == "/console" => answer::redirect(),
            Route::Nowhere => nowhere(),
            route => self.call(route, doors, client, request).await.unwrap_or_else(|fault| unreadable(&fault)),
        }
    }

    async fn call(&self, route: Route<'_>, doors: &Doors, client: IpAddr, request: Request<Bytes>) -> Result<Response<Bytes>, RecordError> {
        let is_change = guard::is_change(request.method());
        if is_change && !guard::is_same_origin(request.headers()) {
            return Ok(forged());
        }
        match (&route, request.method()) {
            (Route::Leave, &Method::GET) => return Ok(self.leave_for_issuer(client, &request).await),
            (Route::Return, &Method::GET) => return self.return_from_issuer(doors, client, &request).await,
            _ => {}
        }
        let known = self.known(request.headers()).await?;
        if route == Route::Session {
            return self.session(known, doors, client, &request).await;
        }
        let Some(known) = known else { return Ok(signed_out()) };
        let shown = request.headers().get(guard::CSRF_HEADER).and_then(|value| value.to_str().ok());
        if is_change && !known.session.is_shown(shown) {
            return Ok(forged());
        }
        Ok(answer::private(match route {
            Route::Management(path) => match directed(&request, path, client) {
                Some(request) => doors.management.handle_for_administrator(known.actor, request).await,
                None => nowhere(),
            },
            Route::Service(name, path) => match directed(&request, path, client) {
                Some(request) => doors.service.handle_for_administrator(known.actor, &name, request).await,
                None => nowhere(),
            },
            Route::Read(name, what) if *request.method() == Method::GET => self.read(doors, &name, what, &request).await,
            Route::Read(..) | Route::File(_) | Route::Session | Route::Leave | Route::Return | Route::Nowhere => nowhere(),
        }))
    }

    /// The session that a request shows, if it counts. Its use is noted.
    async fn known(&self, headers: &HeaderMap) -> Result<Option<Known>, RecordError> {
        let Some(id) = guard::session_id(headers) else { return Ok(None) };
        let session = self.sessions.look_up(id, self.clock.now()).await?;
        Ok(session.map(|held| Known { id: id.to_owned(), session: held.session, actor: held.actor }))
    }
}

fn page(file: &str, request: &Request<Bytes>) -> Response<Bytes> {
    match usher_console::asset(file) {
        Some(asset) if !guard::is_change(request.method()) => answer::file(asset, request.headers()),
        _ => nowhere(),
    }
}

/// The same request for another of the server's own APIs.
fn directed(request: &Request<Bytes>, path: &str, client: IpAddr) -> Option<Request<Bytes>> {
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    let mut directed = Request::new(request.body().clone());
    *directed.method_mut() = request.method().clone();
    *directed.uri_mut() = format!("{path}{query}").parse::<Uri>().ok()?;
    directed.headers_mut().clone_from(request.headers());
    directed.extensions_mut().insert(usher_api_service::ClientAddress(client));
    directed.extensions_mut().insert(usher_api_management::ClientAddress(client));
    Some(directed)
}

fn signed_out() -> Response<Bytes> {
    answer::refusal(
        StatusCode::UNAUTHORIZED,
        "You are signed out.",
        "Sign in again; what you typed is kept on the page until you leave it.",
    )
}

fn forged() -> Response<Bytes> {
    let message = "This request did not come from the console's own page.";
    answer::refusal(StatusCode::FORBIDDEN, message, "Load the console again and repeat what you did.")
}

fn nowhere() -> Response<Bytes> {
    answer::refusal(StatusCode::NOT_FOUND, "There is nothing here.", "Go to /console/.")
}

fn unreadable(fault: &RecordError) -> Response<Bytes> {
    error!(check = "console.store", detail = %fault, mend = "See the store's own log lines.", "the console cannot read or write its records");
    answer::refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "The store cannot be reached now.",
        "Try again in a moment; the server's log says why.",
    )
}
