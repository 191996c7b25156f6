//! One client for everything usher asks of other servers over HTTPS: remote hubs, allocation webhooks. It is bounded in time, size
//! and connections, trusts the machine's roots and those it is given, and never follows a redirect: whoever answers with one could
//! send usher, and the credentials in its request, anywhere.

mod error;
mod roots;
mod target;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::USER_AGENT};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::CertificateDer};

pub use error::OutboundError;
pub use roots::gather as trusted_roots;

/// Idle connections kept for each host. More are closed after use.
const IDLE_PER_HOST_MAX: usize = 16;
/// How long an idle connection is kept; under the two minutes after which load balancers commonly drop one in silence.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The longest a connection attempt may take, whatever the request allows: nobody may be waiting for it any more.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The head of an answer, in bytes; services send one or two thousand.
const HEAD_MAX: usize = 64 * 1024;
/// What usher calls itself where a request does not say.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("usher/", env!("CARGO_PKG_VERSION")));

/// What one request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest it may take from looking up the name to the last byte of the answer.
    pub within: Duration,
    /// The largest body of an answer, in bytes.
    pub body_bytes_max: usize,
}

/// The client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// A client that trusts the machine's roots (or those in the file that `SSL_CERT_FILE` names) and `extra_trust`. Reads files.
    ///
    /// # Errors
    /// [`OutboundError::Trust`] where one of `extra_trust` is no certificate. A machine without roots is no error: its answers are
    /// untrusted, unless `extra_trust` vouches for them.
    pub fn new(extra_trust: &[CertificateDer<'static>]) -> Result<Self, OutboundError> {
        Self::trusting(roots::gather(extra_trust)?.into())
    }

    /// A client that trusts these roots alone, such as those of [`trusted_roots`].
    ///
    /// # Errors
    /// [`OutboundError::Trust`] where TLS cannot be set up.
    pub fn trusting(roots: Arc<RootCertStore>) -> Result<Self, OutboundError> {
        let tls = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|why| OutboundError::Trust(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_MAX));
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http1_max_buf_size(HEAD_MAX)
            .build(connector);
        Ok(Self { pool })
    }

    /// Sends a request and reads the whole answer. Any status is an answer, redirects too. The request is sent once; only where a
    /// kept connection turns out to be closed before anything was sent is it put on another one.
    ///
    /// # Errors
    /// See [`OutboundError`]. After [`OutboundError::TimedOut`], [`OutboundError::TooLarge`] and [`OutboundError::Broken`] the
    /// server may have done what was asked.
    pub async fn send(&self, mut request: Request<Bytes>, bounds: Bounds) -> Result<Response<Bytes>, OutboundError> {
        let server = target::check(request.uri())?;
        request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
        let exchange = self.exchange(request, &server, bounds.body_bytes_max);
        tokio::time::timeout(bounds.within, exchange).await.unwrap_or(Err(OutboundError::TimedOut { server, within: bounds.within }))
    }

    async fn exchange(&self, request: Request<Bytes>, server: &str, body_bytes_max: usize) -> Result<Response<Bytes>, OutboundError> {
        let answer = self.pool.request(request.map(Full::new)).await.map_err(|why| error::classify(server, &why))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, body_bytes_max).collect().await.map_err(|why| match why.downcast::<LengthLimitError>() {
            Ok(_) => OutboundError::TooLarge { server: server.into(), body_bytes_max },
            Err(why) => OutboundError::Broken { server: server.into(), why: error::chain(why.as_ref()) },
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}
