//! Being a device over HTTPS.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    Failure, Profile, Tpm,
    connect::connect,
    exchange::{API_VERSION, Answer, Exchange, activate, expiry, register_body},
    trace::Trace,
};

/// Largest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// An open HTTPS connection to the device endpoint.
pub struct Https {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    base: String,
    token: Option<String>,
}

impl Https {
    /// Connects.
    pub async fn open(profile: &Profile, token: Option<String>, trace: &Trace<'_>) -> Result<Self, Failure> {
        let stream = connect(profile, &profile.host, profile.ports.https, trace).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|why| Failure::new("HTTP", why.to_string(), "Does this port speak HTTPS?"))?;
        tokio::spawn(connection);
        let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let base = format!("/{}/registrations/{}", escaped(&profile.id_scope), escaped(&profile.registration_id));
        let host = format!("{}:{}", profile.host, profile.ports.https);
        Ok(Self { sender, host, base, token })
    }

    /// The first half of a TPM's proof: shows its keys, has the challenge opened, and signs with what was inside.
    pub async fn prove_tpm(&mut self, profile: &Profile, tpm: &Tpm, trace: &Trace<'_>) -> Result<(), Failure> {
        let answer = self.register(register_body(profile, None)?).await?;
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status != 401 || json["authenticationKey"].is_null() {
            return Err(Failure::refused("TPM challenge", answer.status, &answer.body));
        }
        trace.step("challenged: 401 with an activation blob");
        activate(tpm, json["authenticationKey"].as_str(), trace)?;
        self.token = Some(tpm.token(&profile.resource(), expiry(), Some("registration"))?);
        trace.step(format!("SAS token for {} signed inside the TPM", profile.resource()));
        Ok(())
    }

    async fn call(&mut self, step: &'static str, method: Method, path: String, body: Vec<u8>) -> Result<Answer, Failure> {
        let broken = |why: String| Failure::new(step, why, "Try again; if it persists, see the server's log.");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}?api-version={API_VERSION}", self.base))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header(header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|why| broken(why.to_string()))?;
        let response = self.sender.send_request(request).await.map_err(|why| broken(why.to_string()))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_s = retry_after.and_then(|text| text.parse().ok());
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|why| broken(why.to_string()))?;
        Ok(Answer { status, retry_after_s, body: body.to_bytes() })
    }
}

impl Exchange for Https {
    async fn register(&mut self, body: Vec<u8>) -> Result<Answer, Failure> {
        self.call("register", Method::PUT, "/register".into(), body).await
    }

    async fn status(&mut self, operation_id: &str) -> Result<Answer, Failure> {
        self.call("poll", Method::GET, format!("/operations/{operation_id}"), Vec::new()).await
    }
}
