//! The HTTPS listener: one port for the device API, the service API, the hubs' REST and everything inside WebSockets, told apart by
//! path, host and subprotocol.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::watch, time::timeout};
use tracing::debug;
use usher_api_device::{
    https::{self as device_api, Peer},
    outcome::Outcome,
    stopped,
};
use usher_api_hub::{HubRest, PeerEvidence};
use usher_domain::{ErrorCode, HubName, ServiceError};
use usher_provisioning::Transport;
use usher_websocket::{ByteStream, Subprotocol, is_upgrade, negotiate};

use crate::{amqp, doors::Doors, listener::Connection, metrics, mqtt, ready};

/// Time for a request's head; also how long an idle connection is kept open.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// Time for a request's body.
const BODY_MAX: Duration = Duration::from_secs(30);
/// Largest body of any API here, in bytes: a bulk request of ten enrollments with certificates and twins.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes read of a body that is too large, kept or not, before the connection is cut.
const DISCARDED_BYTES_MAX: usize = 16 * BODY_BYTES_MAX;
/// Largest head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Serves one connection until it ends, or until `stop` turns true and its request is answered.
pub async fn serve(doors: Arc<Doors>, connection: Connection, mut stop: watch::Receiver<bool>) {
    let Connection { stream, peer, server_name } = connection;
    let (doors_of, peer, server_name) = (Arc::clone(&doors), Arc::new(peer), server_name.map(Arc::<str>::from));
    let stop_of = stop.clone();
    let service = service_fn(move |request| {
        let visit =
            Visit { doors: Arc::clone(&doors_of), peer: Arc::clone(&peer), server_name: server_name.clone(), stop: stop_of.clone() };
        async move { Ok::<_, Infallible>(visit.answer(request).await.map(Full::new)) }
    });
    let server = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(server);
    let outcome = tokio::select! {
        outcome = server.as_mut() => outcome,
        () = stopped(&mut stop) => {
            server.as_mut().graceful_shutdown();
            server.await
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "HTTP connection ended");
    }
}

/// One request and all that is needed to answer it.
struct Visit {
    doors: Arc<Doors>,
    peer: Arc<Peer>,
    server_name: Option<Arc<str>>,
    stop: watch::Receiver<bool>,
}

impl Visit {
    async fn answer(self, request: Request<Incoming>) -> Response<Bytes> {
        if is_upgrade(&request) {
            return self.upgrade(request);
        }
        let (head, body) = request.into_parts();
        let body = match timeout(BODY_MAX, read_body(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => return self.refuse(&error),
            Err(_) => return self.refuse(&cut_short()),
        };
        self.route(Request::from_parts(head, body)).await
    }

    async fn route(self, mut request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if path == "/health" {
            return Response::new(Bytes::from_static(b"{\"status\":\"ready\"}"));
        }
        if usher_console::claims(path) {
            return self.doors.console.answer(&self.doors, self.peer.address.ip(), request).await;
        }
        if path == "/" && usher_console::guard::wants_page(request.headers()) {
            return usher_console::answer::redirect();
        }
        if path == "/ready" {
            return ready::answer(&self.doors).await;
        }
        if path == usher_api_service::OPENAPI_PATH {
            return usher_api_service::openapi();
        }
        if path == usher_api_management::OPENAPI_PATH {
            return usher_api_management::openapi();
        }
        if path == "/metrics" {
            return metrics::answer(&self.doors, request.headers()).await;
        }
        if usher_api_service::claims(path) {
            request.extensions_mut().insert(usher_api_service::ClientAddress(self.peer.address.ip()));
            return self.doors.service.handle(request).await;
        }
        if usher_api_management::claims(path) {
            request.extensions_mut().insert(usher_api_management::ClientAddress(self.peer.address.ip()));
            return self.doors.management.handle(request).await;
        }
        if device_api::claims(path) {
            return device_api::handle(&self.doors.engine, &self.peer, request).await;
        }
        if HubRest::owns(path)
            && let Some(hub) = self.hub_of(&request)
        {
            request.extensions_mut().insert(hub_peer(&self.peer));
            return self.doors.hub_rest.handle(&hub, request).await;
        }
        self.refuse(&ServiceError::with(ErrorCode::PathNotFound, format!("There is nothing at {path}.")))
    }

    /// The embedded hub that a request is for, by its Host header or else by the TLS server name.
    fn hub_of(&self, request: &Request<Bytes>) -> Option<HubName> {
        let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name)).or(self.server_name.as_deref())?;
        HubName::parse(host).ok().filter(|name| self.doors.hubs.get(name).is_some())
    }

    fn upgrade(self, mut request: Request<Incoming>) -> Response<Bytes> {
        let (subprotocol, response) = match negotiate(request.headers()) {
            Ok(agreed) => agreed,
            Err(why) => return self.refuse(&ServiceError::with(ErrorCode::BadRequest, why)),
        };
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(io) = upgraded.await else { return };
            let stream = ByteStream::server(TokioIo::new(io)).await;
            match subprotocol {
                Subprotocol::Mqtt => mqtt::serve(self.doors, stream, (*self.peer).clone(), Transport::MqttWs, self.stop).await,
                Subprotocol::Amqp => amqp::serve(self.doors, stream, (*self.peer).clone(), Transport::AmqpWs, self.stop).await,
            }
        });
        response
    }

    fn refuse(&self, error: &ServiceError) -> Response<Bytes> {
        let tracking_id = self.doors.engine.new_tracking_id();
        self.doors.engine.log_refused_request(&tracking_id, Transport::Https, Some(self.peer.address.ip()), error);
        let outcome = Outcome::error(error, &tracking_id, self.doors.engine.now());
        let status = StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let builder = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("x-ms-request-id", tracking_id.as_str())
            .header("x-ms-error-code", outcome.error.unwrap_or_default());
        builder.body(Bytes::from(outcome.body)).unwrap_or_default()
    }
}

/// Reads a body whole. One that is too large is read on for a while and thrown away: a client that is still sending when the answer
/// comes would see a broken connection instead of it.
async fn read_body(mut body: Incoming) -> Result<Bytes, ServiceError> {
    let (mut kept, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| cut_short())?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > DISCARDED_BYTES_MAX {
            break;
        }
        if seen <= BODY_BYTES_MAX {
            kept.extend_from_slice(&data);
        }
    }
    if seen > BODY_BYTES_MAX { Err(ServiceError::new(ErrorCode::BodyTooLarge)) } else { Ok(kept.freeze()) }
}

fn cut_short() -> ServiceError {
    ServiceError::with(ErrorCode::BadRequest, "The request body did not arrive whole.")
}

/// The peer, as the hubs know peers.
pub fn hub_peer(peer: &Peer) -> PeerEvidence {
    PeerEvidence { chain: peer.certificates.clone(), addr: peer.address }
}
