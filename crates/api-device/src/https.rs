//! The device API over HTTPS (azure-rest-api-specs: DeviceProvisioningServices/device/routes.tsp).

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use usher_domain::{ErrorCode, ServiceError, TrackingId, document::RegisterDocument, limits};
use usher_provisioning::{Claim, Engine, Evidence, Reply, Transport};

use crate::{ascii_json, outcome::Outcome};

/// What a path of the device API asks for.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    id_scope: String,
    registration_id: String,
    action: Action,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Register,
    Operation(String),
    Lookup,
}

impl Action {
    fn method(&self) -> Method {
        match self {
            Self::Register => Method::PUT,
            Self::Operation(_) => Method::GET,
            Self::Lookup => Method::POST,
        }
    }
}

/// Whether a path belongs to the device API: `/{idScope}/registrations/{registrationId}…`.
pub fn claims(path: &str) -> bool {
    route(path).is_some()
}

fn route(path: &str) -> Option<Route> {
    let segments: Vec<&str> = path.strip_prefix('/')?.trim_end_matches('/').split('/').collect();
    let (scope, id, action) = match segments.as_slice() {
        [scope, word, id, verb] if is(word, "registrations") && is(verb, "register") => (scope, id, Action::Register),
        [scope, word, id, verb, operation] if is(word, "registrations") && is(verb, "operations") => {
            (scope, id, Action::Operation(decoded(operation)?))
        }
        [scope, word, id] if is(word, "registrations") => (scope, id, Action::Lookup),
        _ => return None,
    };
    Some(Route { id_scope: decoded(scope)?, registration_id: decoded(id)?, action })
}

fn is(segment: &str, word: &str) -> bool {
    segment.eq_ignore_ascii_case(word)
}

/// One round of percent-decoding: the C SDK escapes `:`, the Node SDK escapes nothing.
fn decoded(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(|text| text.into_owned())
}

/// Who is at the other end of the connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The certificate chain presented in TLS, leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// The address.
    pub address: SocketAddr,
}

/// Answers one request of the device API.
pub async fn handle(engine: &Engine, peer: &Peer, request: Request<Bytes>) -> Response<Bytes> {
    let tracking_id = engine.new_tracking_id();
    let outcome = match answer(engine, peer, &request, &tracking_id).await {
        Ok(outcome) => outcome,
        Err(error) => {
            engine.log_refused_request(&tracking_id, Transport::Https, Some(peer.address.ip()), &error);
            Outcome::error(&error, &tracking_id, engine.now())
        }
    };
    let mut response = respond(outcome, &tracking_id);
    // RFC 9110 section 15.5.6 wants the methods told.
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(route) = route(request.uri().path())
        && let Ok(allow) = HeaderValue::from_str(route.action.method().as_str())
    {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

async fn answer(engine: &Engine, peer: &Peer, request: &Request<Bytes>, tracking_id: &TrackingId) -> Result<Outcome, ServiceError> {
    let route = route(request.uri().path()).ok_or(ServiceError::new(ErrorCode::PathNotFound))?;
    let wanted = route.action.method();
    if request.method() != wanted {
        return Err(ServiceError::with(ErrorCode::MethodNotAllowed, format!("This path takes {wanted} only.")));
    }
    if request.body().len() > limits::MESSAGE_BYTES_MAX {
        return Err(ServiceError::new(ErrorCode::BodyTooLarge));
    }
    let (id_scope, claimed_id) = Claim::names(&route.id_scope, &route.registration_id)?;
    let claim = Claim {
        id_scope,
        claimed_id,
        api_version: api_version(request.uri().query().unwrap_or_default())?,
        evidence: Evidence { certificates: peer.certificates.clone(), sas_token: sas_token(request), tpm: None },
        tracking_id: tracking_id.clone(),
        transport: Transport::Https,
        peer: Some(peer.address.ip()),
    };
    match route.action {
        Action::Register => {
            match engine.register(&claim, request.body()).await? {
                // .NET takes 202 alone for register, final answers included (azure-iot-sdk-csharp: RuntimeRegistration.cs).
                Reply::Status(document) => Ok(Outcome { status: 202, ..Outcome::operation(engine, &claim, &document).await }),
                Reply::Challenge(blob) => Ok(Outcome::challenge(&blob)),
            }
        }
        Action::Operation(operation_id) => {
            let document = engine.operation_status(&claim, &operation_id).await?;
            Ok(Outcome::operation(engine, &claim, &document).await)
        }
        Action::Lookup => {
            refuse_csr(request.body())?;
            let document = engine.registration(&claim).await?;
            Ok(Outcome { status: 200, retry_after_s: None, body: ascii_json::to_vec(&document), error: None })
        }
    }
}

/// A look-up issues nothing (azure-rest-api-specs: DeviceProvisioningServices/device/models.tsp: `csr` is a bad request there).
fn refuse_csr(body: &[u8]) -> Result<(), ServiceError> {
    let document: Option<RegisterDocument> = serde_json::from_slice(body).unwrap_or_default();
    match document.and_then(|document| document.csr) {
        Some(_) => Err(ServiceError::with(ErrorCode::CsrRefused, "A look-up issues no certificate. Send csr with register.")),
        None => Ok(()),
    }
}

/// The `api-version` parameter. Any value is taken, since SDKs send a dozen; none at all is an error.
fn api_version(query: &str) -> Result<String, ServiceError> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, value)| name.eq_ignore_ascii_case("api-version") && !value.is_empty() && value.len() <= 64)
        .map(|(_, value)| value.to_owned())
        .ok_or(ServiceError::new(ErrorCode::ApiVersionMissing))
}

fn sas_token(request: &Request<Bytes>) -> Option<String> {
    request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn respond(outcome: Outcome, tracking_id: &TrackingId) -> Response<Bytes> {
    let mut response = Response::builder()
        .status(outcome.status)
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header("x-ms-request-id", tracking_id.as_str());
    if let Some(seconds) = outcome.retry_after_s {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    if let Some(name) = outcome.error {
        response = response.header("x-ms-error-code", name);
    }
    response.body(Bytes::from(outcome.body)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_three_operations_are_routed() {
        let route_of = |path| route(path).unwrap().action;
        assert_eq!(route_of("/0ne1/registrations/d/register"), Action::Register);
        assert_eq!(route_of("/0ne1/registrations/d/operations/4.a.b"), Action::Operation("4.a.b".into()));
        assert_eq!(route_of("/0ne1/registrations/d"), Action::Lookup);
        assert_eq!(route("/0ne1/registrations/a%3ab/register").unwrap().registration_id, "a:b");
    }

    #[test]
    fn service_and_hub_paths_are_left_to_others() {
        for path in ["/", "/registrations/d", "/enrollments/d", "/devices/d", "/registrations/g/query", "/a/registrations/b/c/d/e"] {
            assert!(!claims(path), "{path}");
        }
    }

    #[test]
    fn an_api_version_is_required_but_any_will_do() {
        assert_eq!(api_version("api-version=2019-03-31&forceRegistration=true").unwrap(), "2019-03-31");
        assert_eq!(api_version("x=1").unwrap_err().code, ErrorCode::ApiVersionMissing);
        assert_eq!(api_version("api-version=").unwrap_err().code, ErrorCode::ApiVersionMissing);
    }
}
