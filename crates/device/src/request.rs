//! One HTTPS request of an operator's client: connects, asks, reads the whole answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use crate::Failure;

/// Largest answer taken, in bytes: a list of a thousand services has some megabytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Time for a request from connecting to the end of its answer.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// A server that an operator's requests go to.
pub(crate) struct Endpoint {
    /// Its host name.
    pub host: String,
    /// Its port.
    pub port: u16,
    tls: TlsConnector,
}

impl Endpoint {
    /// A server known by a certificate below one of `trust`.
    pub fn new(host: &str, port: u16, trust: Arc<RootCertStore>) -> Result<Self, Failure> {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| Failure::settings(why.to_string()))?
            .with_root_certificates(trust)
            .with_no_client_auth();
        Ok(Self { host: host.to_owned(), port, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// The `Host` header.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Sends a request and reads its answer, whatever the status.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        timeout(REQUEST_MAX, self.send_unlimited(request)).await.unwrap_or_else(|_| {
            let what = format!("{} did not answer within {} s", self.authority(), REQUEST_MAX.as_secs());
            Err(Failure::new("request", what, "Is the host reachable from here?"))
        })
    }

    async fn send_unlimited(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        let name = ServerName::try_from(self.host.clone()).map_err(|_| Failure::settings(format!("{} is not a host name", self.host)))?;
        let place = (self.host.as_str(), self.port);
        let stream = TcpStream::connect(place).await.map_err(|why| {
            let failure = Failure::network("connect", &why);
            Failure { what: format!("{}: {}", self.authority(), failure.what), ..failure }
        })?;
        let stream = self.tls.connect(name, stream).await.map_err(|why| Failure::network("TLS", &why))?;
        let broken = |why: String| Failure::new("HTTP", why, "Does this port speak HTTPS?");
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|why| broken(why.to_string()))?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|why| broken(why.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|why| broken(why.to_string()))?;
        Ok((status, body.to_bytes()))
    }
}
