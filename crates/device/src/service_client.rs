//! As much of a service API client as demonstrations and benchmarks need: enrolling the devices they then are.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use usher_attestation::sas;

/// The API version of Azure's current service SDKs.
const API_VERSION: &str = "2021-10-01";
/// Lifetime of tokens, in seconds.
const TOKEN_LIFETIME_S: i64 = 3_600;
/// Largest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A client of one provisioning service.
pub struct ServiceClient {
    host: String,
    port: u16,
    policy: String,
    key: Vec<u8>,
    tls: TlsConnector,
}

impl ServiceClient {
    /// From the service's connection string.
    pub fn new(connection_string: &str, trust: Arc<RootCertStore>) -> Result<Self, String> {
        let part = |name: &str| {
            let found = connection_string.split(';').filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned()).ok_or_else(|| format!("the connection string has no {name}"))
        };
        let host_name = part("HostName")?;
        let (host, port) = host_name.split_once(':').unwrap_or((&host_name, "443"));
        let key = sas::decode_key(&part("SharedAccessKey")?).map_err(|why| why.to_string())?.to_vec();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?
            .with_root_certificates(trust)
            .with_no_client_auth();
        let port = port.parse().map_err(|_| "the connection string's port is not a number".to_owned())?;
        let policy = part("SharedAccessKeyName")?;
        Ok(Self { host: host.to_owned(), port, policy, key, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Creates or replaces a record, for example at `/enrollments/device-1`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        let expiry = crate::now_s().saturating_add(TOKEN_LIFETIME_S);
        let request = Request::put(format!("{path}?api-version={API_VERSION}"))
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::AUTHORIZATION, sas::sign(&self.host, &self.key, expiry, Some(&self.policy)))
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|why| why.to_string())?;
        let name = ServerName::try_from(self.host.clone()).map_err(|why| why.to_string())?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|why| why.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|why| why.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|why| why.to_string())?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|why| why.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|why| why.to_string())?.to_bytes();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() { Ok(json) } else { Err(format!("PUT {path}: {status}: {}", json["message"].as_str().unwrap_or_default())) }
    }
}
