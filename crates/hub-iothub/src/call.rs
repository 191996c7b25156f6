//! The requests that the connector makes.

use std::time::Duration;

use bytes::Bytes;
use http::{
    Method, Request, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use usher_domain::DeviceId;
use usher_hub::HubError;
use usher_outbound::{Bounds, OutboundError};

use crate::{
    IotHub,
    answer::{self, Answer, Created},
    twin::Twin,
};

/// The version of the API that current service SDKs speak.
const API_VERSION: &str = "2021-04-12";
/// What one request may cost. Hubs answer in tenths of a second; a twin with its metadata can have some hundred kilobytes.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(5), body_bytes_max: 1024 * 1024 };
/// Kept as they are in a path (RFC 3986, "unreserved").
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl IotHub {
    /// Makes one device by a bulk request, the one way to make device and twin in a single step (azure-iot-sdk-csharp:
    /// RegistryManager.AddDeviceWithTwinAsync).
    pub(crate) async fn create(&self, body: &Value) -> Result<Created, HubError> {
        answer::read_created(&self.send(Method::POST, "/devices", None, Some(body)).await?)
    }

    pub(crate) async fn get_device(&self, id: &DeviceId) -> Result<Option<Value>, HubError> {
        match self.ask(Method::GET, &path("devices", id), None, None).await? {
            Answer::Done(device) => Ok(Some(device)),
            Answer::NoDevice => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn update_device(&self, id: &DeviceId, body: &Value, etag: &str) -> Result<Answer, HubError> {
        self.ask(Method::PUT, &path("devices", id), Some(etag), Some(body)).await
    }

    pub(crate) async fn get_twin(&self, id: &DeviceId) -> Result<Option<Twin>, HubError> {
        match self.ask(Method::GET, &path("twins", id), None, None).await? {
            Answer::Done(twin) => Ok(Some(Twin::read(&twin))),
            Answer::NoDevice => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn replace_twin(&self, id: &DeviceId, body: &Value, etag: &str) -> Result<Answer, HubError> {
        self.ask(Method::PUT, &path("twins", id), Some(etag), Some(body)).await
    }

    /// Removes a device whatever its state.
    pub(crate) async fn remove(&self, id: &DeviceId) -> Result<(), HubError> {
        match self.ask(Method::DELETE, &path("devices", id), Some("*"), None).await? {
            Answer::Done(_) | Answer::NoDevice => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, method: Method, path: &str, etag: Option<&str>, body: Option<&Value>) -> Result<Answer, HubError> {
        answer::read(&self.send(method, path, etag, body).await?)
    }

    async fn send(&self, method: Method, path: &str, etag: Option<&str>, body: Option<&Value>) -> Result<Response<Bytes>, HubError> {
        let token = self.tokens.current(&self.connection, self.clock.now());
        let url = format!("https://{}{path}?api-version={API_VERSION}", self.connection.host);
        let mut request = Request::builder().method(method).uri(url).header(AUTHORIZATION, token);
        if let Some(etag) = etag {
            // Quotes around the star too, as the SDKs send it.
            request = request.header(IF_MATCH, format!("\"{etag}\""));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(body).map_err(|why| HubError::Rejected(format!("the request cannot be made: {why}")))?;
        self.client.send(request, BOUNDS).await.map_err(not_sent)
    }
}

fn path(collection: &str, id: &DeviceId) -> String {
    format!("/{collection}/{}", utf8_percent_encode(id.as_str(), IN_PATH))
}

fn not_sent(error: OutboundError) -> HubError {
    match error {
        OutboundError::Refused(_) | OutboundError::Trust(_) => HubError::Rejected(error.to_string()),
        // An untrusted server may be a hub in the middle of a change of certificates, and waiting does no harm.
        _ => HubError::Unavailable(error.to_string()),
    }
}

/// An answer that makes no sense to this request; the next try may meet another state.
pub(crate) fn unexpected(answer: &Answer) -> HubError {
    let what = match answer {
        Answer::Done(_) => "done",
        Answer::NoDevice => "no such device",
        Answer::Exists => "the device exists",
        Answer::Changed => "the device was changed by others",
    };
    HubError::Unavailable(format!("an answer out of place: {what}"))
}
