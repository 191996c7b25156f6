//! As much of a service API client as demonstrations and benchmarks need: enrolling the devices they then are.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use rustls::RootCertStore;
use serde_json::Value;
use usher_attestation::sas;

use crate::request::Endpoint;

/// The API version of Azure's current service SDKs.
const API_VERSION: &str = "2021-10-01";
/// Lifetime of tokens, in seconds.
const TOKEN_LIFETIME_S: i64 = 3_600;

/// A client of one provisioning service.
pub struct ServiceClient {
    endpoint: Endpoint,
    policy: String,
    key: Vec<u8>,
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
        let port = port.parse().map_err(|_| "the connection string's port is not a number".to_owned())?;
        let policy = part("SharedAccessKeyName")?;
        let endpoint = Endpoint::new(host, port, trust).map_err(|why| why.to_string())?;
        Ok(Self { endpoint, policy, key })
    }

    /// Creates or replaces a record, for example at `/enrollments/device-1`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        let expiry = crate::now_s().saturating_add(TOKEN_LIFETIME_S);
        let request = Request::put(format!("{path}?api-version={API_VERSION}"))
            .header(header::HOST, self.endpoint.authority())
            .header(header::AUTHORIZATION, sas::sign(&self.endpoint.host, &self.key, expiry, Some(&self.policy)))
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|why| why.to_string())?;
        let (status, body) = self.endpoint.send(request).await.map_err(|why| why.to_string())?;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() { Ok(json) } else { Err(format!("PUT {path}: {status}: {}", json["message"].as_str().unwrap_or_default())) }
    }
}
