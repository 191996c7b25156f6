//! Sets up tokens of an OIDC issuer for the management API: keys are fetched from where the issuer's description says.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use tokio::sync::Mutex;
use usher_api_management::oidc::{
    BoxFuture, KeySource, Oidc, OidcSettings,
    discovery::{self, Endpoints},
};
use usher_domain::{Timestamp, clock::Clock};
use usher_outbound::{Bounds, Client};

use crate::{StartError, trust::outgoing};

/// What one of the two requests may cost. Whoever sends a token with a new key waits for them; large directories' keys have 20 KiB.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(5), body_bytes_max: 256 * 1024 };

/// Whose tokens open the management API besides the installation's own.
#[derive(Clone, Debug)]
pub struct OidcOptions {
    /// Issuer, audience and required claim.
    pub settings: OidcSettings,
    /// Root certificates that the issuer may have besides the machine's, PEM.
    pub trust: Vec<PathBuf>,
}

/// The verifier, where an issuer is configured. Fetches nothing yet: an issuer that is down must not keep usher from starting.
pub fn verifier(options: Option<&OidcOptions>, clock: &Arc<dyn Clock>) -> Result<Option<Oidc>, StartError> {
    let Some(OidcOptions { settings, trust }) = options else { return Ok(None) };
    let is_url = settings.issuer.parse::<http::Uri>().is_ok_and(|url| url.scheme().is_some() && url.host().is_some());
    if !is_url || settings.audience.is_empty() {
        let what = format!("{:.200} with the audience {:?} cannot be an OIDC issuer", settings.issuer, settings.audience);
        return Err(StartError::new(
            what,
            "Name the issuer's URL as its tokens have it in iss (--oidc-issuer, or issuer in [oidc]), and the audience.",
        ));
    }
    let source = IssuerKeys { issuer: settings.issuer.clone(), client: outgoing(trust, "--oidc-trust")?.client };
    Ok(Some(Oidc::new(settings.clone(), Arc::new(source), Arc::clone(clock))))
}

struct IssuerKeys {
    issuer: String,
    client: Client,
}

impl IssuerKeys {
    async fn get(&self, url: &str) -> Result<Bytes, String> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Bytes::new());
        self.send(url, request.map_err(|_| format!("{url:.200} is no URL"))?).await
    }

    async fn send(&self, url: &str, request: Request<Bytes>) -> Result<Bytes, String> {
        let response = self.client.send(request, BOUNDS).await.map_err(|why| why.to_string())?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(format!("{url:.200} answers {status}")),
        }
    }
}

/// An issuer's description is read again after this time, in seconds.
const DESCRIPTION_FRESH_S: i64 = 3600;

/// The issuer as a place to sign in at (docs/console.md).
pub struct IssuerLogin {
    issuer: IssuerKeys,
    client_id: String,
    /// What it said last, and when. The lock is held over a request, so that there is one at a time.
    described: Mutex<Option<(Timestamp, Endpoints)>>,
}

impl IssuerLogin {
    /// The configured issuer, if there is one. Asks it nothing yet.
    pub fn new(options: Option<&OidcOptions>) -> Result<Option<Self>, StartError> {
        let Some(OidcOptions { settings, trust }) = options else { return Ok(None) };
        let issuer = IssuerKeys { issuer: settings.issuer.clone(), client: outgoing(trust, "--oidc-trust")?.client };
        Ok(Some(Self { issuer, client_id: settings.audience.clone(), described: Mutex::default() }))
    }

    /// This server as the issuer's client, asked for by this host.
    pub fn as_client<'a>(&'a self, host: &'a str) -> usher_console::oidc::Client<'a> {
        usher_console::oidc::Client { id: &self.client_id, host }
    }

    /// Where people log in and codes are exchanged.
    ///
    /// # Errors
    /// In words for the log.
    pub async fn endpoints(&self, now: Timestamp) -> Result<Endpoints, String> {
        let mut described = self.described.lock().await;
        if let Some((_, endpoints)) =
            described.as_ref().filter(|(at, _)| (0..DESCRIPTION_FRESH_S).contains(&now.secs().saturating_sub(at.secs())))
        {
            return Ok(endpoints.clone());
        }
        let document = self.issuer.get(&discovery::url(&self.issuer.issuer)).await?;
        let endpoints = discovery::endpoints(&self.issuer.issuer, &document)?;
        *described = Some((now, endpoints.clone()));
        Ok(endpoints)
    }

    /// Sends the form that exchanges a code.
    ///
    /// # Errors
    /// In words for the log.
    pub async fn exchange(&self, form: String, now: Timestamp) -> Result<Bytes, String> {
        let url = self.endpoints(now).await?.token;
        let request = Request::post(&url).header(ACCEPT, "application/json").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.issuer.send(&url, request.body(Bytes::from(form)).map_err(|_| format!("{url:.200} is no URL"))?).await
    }
}

impl KeySource for IssuerKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Bytes, String>> {
        Box::pin(async {
            let description = self.get(&discovery::url(&self.issuer)).await?;
            self.get(&discovery::jwks_uri(&self.issuer, &description)?).await
        })
    }
}

/// A required claim as it is written in options and files.
///
/// # Errors
/// In words, where it is not `NAME=VALUE`.
pub fn parse_claim(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    pair.map(|(name, value)| (name.into(), value.into())).ok_or_else(|| "write NAME=VALUE, for example roles=usher-admin".into())
}
