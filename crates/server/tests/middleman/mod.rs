//! A server between the connector and a hub that passes requests on, and can be told to fail in the middle.
#![allow(clippy::unwrap_used, dead_code)]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use usher_outbound::{Bounds, Client};

const BOUNDS: Bounds = Bounds { within: Duration::from_secs(10), body_bytes_max: 1024 * 1024 };

/// What the middleman does instead of passing on.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// So many changes still get through; the answer to the last is lost, and then nothing works.
    pub changes_left: Option<usize>,
    /// Makes devices without their twins and says so, as IoT Hub may.
    pub without_twin: bool,
    /// Every request gets this status and headers.
    pub answer: Option<(u16, Vec<(&'static str, String)>)>,
    /// Every request waits so long.
    pub delay: Option<Duration>,
}

pub struct Middleman {
    pub addr: SocketAddr,
    pub root: CertificateDer<'static>,
    state: Arc<State>,
}

struct State {
    faults: Mutex<Faults>,
    seen: Mutex<Vec<String>>,
    upstream: String,
    client: Client,
}

impl Middleman {
    /// Passes on to `https://{upstream}`, whose root is `trust`.
    pub async fn start(upstream: String, trust: CertificateDer<'static>) -> Self {
        let (root, acceptor) = identity();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let client = Client::new(&[trust]).unwrap();
        let state = Arc::new(State { faults: Mutex::default(), seen: Mutex::default(), upstream, client });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), socket, Arc::clone(&shared)));
            }
        });
        Self { addr, root, state }
    }

    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state.faults.lock().unwrap());
    }

    /// Method and path of what came so far; forgets it.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }
}

async fn serve(acceptor: TlsAcceptor, socket: TcpStream, state: Arc<State>) {
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(state.answer(request).await.map(Full::new)) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Bytes> {
        self.seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        let faults = self.faults.lock().unwrap().clone();
        if let Some(delay) = faults.delay {
            tokio::time::sleep(delay).await;
        }
        if let Some((code, headers)) = faults.answer {
            let mut response = status(code);
            for (name, value) in headers {
                response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
            }
            return response;
        }
        if faults.changes_left == Some(0) {
            return status(503);
        }
        let (head, body) = request.into_parts();
        let is_change = head.method != Method::GET;
        let is_create = head.method == Method::POST;
        let mut body = body.collect().await.unwrap().to_bytes();
        let strip = faults.without_twin && is_create;
        if strip {
            body = without_twin(&body);
        }
        let mut response = self.pass_on(head, body).await;
        if is_change && response.status().is_success() && self.lose() {
            return status(502);
        }
        if strip && response.status().is_success() {
            let warned = json!({"isSuccessful": true, "errors": [], "warnings": [{"warningCode": "DeviceRegisteredWithoutTwin"}]});
            response = Response::new(Bytes::from(warned.to_string()));
        }
        response
    }

    async fn pass_on(&self, head: http::request::Parts, body: Bytes) -> Response<Bytes> {
        let mut request = Request::from_parts(head, body);
        let path = request.uri().path_and_query().unwrap().to_string();
        *request.uri_mut() = format!("https://{}{path}", self.upstream).parse::<Uri>().unwrap();
        // The host that was asked stays: it is the one that the token names. The body may have another length by now.
        request.headers_mut().remove("content-length");
        let mut response = self.client.send(request, BOUNDS).await.unwrap_or_else(|_| status(502));
        response.headers_mut().remove("transfer-encoding");
        response
    }

    /// Counts a change that has taken effect; whether its answer is to be lost.
    fn lose(&self) -> bool {
        let mut faults = self.faults.lock().unwrap();
        match &mut faults.changes_left {
            Some(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            None => false,
        }
    }
}

fn without_twin(body: &Bytes) -> Bytes {
    let mut items: Value = serde_json::from_slice(body).unwrap();
    for member in ["tags", "properties"] {
        items[0].as_object_mut().unwrap().remove(member);
    }
    Bytes::from(items.to_string())
}

fn status(code: u16) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn identity() -> (CertificateDer<'static>, TlsAcceptor) {
    let root_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(params, root_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    (root.der().clone(), TlsAcceptor::from(Arc::new(config)))
}
