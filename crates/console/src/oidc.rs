//! Signing in at an OpenID Connect issuer: the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1, RFC 7636), the
//! console being a public client whose ID is the audience that the management API takes.
//!
//! What has to be remembered between leaving for the issuer and coming back is in a cookie of ten minutes that only this server gets, so
//! that strangers who begin and never come back cost nothing, and any node can go on.

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use usher_domain::{Secret, clock::Entropy};

use crate::session::random;

/// The cookie. `Lax`, since the browser comes back from the issuer's site.
const COOKIE: &str = "__Host-usher-console-oidc";
/// Where the issuer sends the browser back to; registered there as redirect URI.
pub const RETURN_PATH: &str = "/console/api/oidc/return";
/// Longest code taken, in bytes; issuers send some hundred.
const CODE_BYTES_MAX: usize = 4096;
/// Time to log in at the issuer, in seconds.
const MINUTES_TEN_S: u32 = 600;

/// One sign-in under way: three secrets of 256 bits in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Binds the issuer's answer to this browser.
    state: Secret,
    /// Binds the token to this sign-in.
    nonce: Secret,
    /// Proves to the issuer that who began also ends it.
    verifier: Secret,
}

/// The client that this server is to its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its ID.
    pub id: &'a str,
    /// The host that the browser asked, with the port.
    pub host: &'a str,
}

impl Client<'_> {
    fn return_to(&self) -> String {
        format!("https://{}{RETURN_PATH}", self.host)
    }
}

impl Errand {
    /// A new one.
    pub fn begin(entropy: &dyn Entropy) -> Self {
        Self { state: random(entropy), nonce: random(entropy), verifier: random(entropy) }
    }

    /// The one in a request's cookies.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        let mut named = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(name, _)| *name == COOKIE);
        let parts: Vec<&str> = named.next()?.1.split('.').collect();
        let [state, nonce, verifier] = parts.as_slice() else { return None };
        let is_ours = |part: &&str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
        parts.iter().all(is_ours).then(|| Self { state: Secret::new(*state), nonce: Secret::new(*nonce), verifier: Secret::new(*verifier) })
    }

    /// The cookie that remembers it.
    pub fn cookie(&self) -> String {
        let Self { state, nonce, verifier } = self;
        let value = format!("{}.{}.{}", state.expose(), nonce.expose(), verifier.expose());
        format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={MINUTES_TEN_S}")
    }

    /// Where the browser is sent.
    pub fn address(&self, endpoint: &str, client: Client<'_>) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, self.verifier.expose().as_bytes()));
        let pairs = [
            ("response_type", "code"),
            ("client_id", client.id),
            ("redirect_uri", &client.return_to()),
            ("scope", "openid"),
            ("state", self.state.expose()),
            ("nonce", self.nonce.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        format!("{endpoint}{}{}", if endpoint.contains('?') { '&' } else { '?' }, form(&pairs))
    }

    /// The code that the browser brings back.
    ///
    /// # Errors
    /// In words for the log, where the issuer refused or the answer belongs to another sign-in.
    pub fn code(&self, query: &str) -> Result<Secret, String> {
        let value = |name: &str| {
            let (_, value) = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == name)?;
            Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
        };
        let state = value("state").unwrap_or_default();
        verify_slices_are_equal(state.as_bytes(), self.state.expose().as_bytes()).map_err(|_| "the answer belongs to another sign-in")?;
        if let Some(error) = value("error") {
            return Err(format!("the issuer refused: {:.100} {:.300}", error, value("error_description").unwrap_or_default()));
        }
        let code = value("code").filter(|code| !code.is_empty() && code.len() <= CODE_BYTES_MAX);
        code.map(Secret::new).ok_or_else(|| "the issuer sent no code".into())
    }

    /// The form that turns the code into tokens.
    pub fn exchange(&self, code: &Secret, client: Client<'_>) -> String {
        form(&[
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &client.return_to()),
            ("client_id", client.id),
            ("code_verifier", self.verifier.expose()),
        ])
    }

    /// The ID token in the issuer's answer, if it is of this sign-in. Its signature and claims are for others to judge.
    ///
    /// # Errors
    /// In words for the log.
    pub fn id_token(&self, answer: &[u8]) -> Result<Secret, String> {
        let answer: Value = serde_json::from_slice(answer).map_err(|_| "the issuer's answer is no JSON")?;
        let token = answer["id_token"].as_str().ok_or("the issuer's answer has no ID token")?;
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value = claims.and_then(|claims| serde_json::from_slice(&claims).ok()).ok_or("the ID token is no JSON web token")?;
        let nonce = claims["nonce"].as_str().unwrap_or_default();
        verify_slices_are_equal(nonce.as_bytes(), self.nonce.expose().as_bytes()).map_err(|_| "the ID token belongs to another sign-in")?;
        Ok(Secret::new(token))
    }
}

/// The cookie that forgets a sign-in.
pub fn forget() -> String {
    format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

/// Whether a Host header can be one; it goes into an address.
pub fn is_host(host: &str) -> bool {
    (1..=255).contains(&host.len()) && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
}

fn form(pairs: &[(&str, &str)]) -> String {
    let encoded = pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    encoded.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;
    use usher_domain::clock::SeededEntropy;

    const CLIENT: Client<'static> = Client { id: "usher", host: "usher.example:8443" };

    fn errand(seed: u64) -> Errand {
        Errand::begin(&SeededEntropy::new(seed))
    }

    #[test]
    fn it_is_remembered_in_its_cookie_and_nowhere_else() {
        let errand = errand(1);
        let cookie = errand.cookie();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {}", cookie.split(';').next().unwrap()).parse().unwrap());
        assert_eq!(Errand::of(&headers), Some(errand.clone()));
        assert!(!format!("{errand:?}").contains(errand.verifier.expose()));
        let address = errand.address("https://id.example/auth", CLIENT);
        assert!(address.contains("redirect_uri=https%3A%2F%2Fusher%2Eexample%3A8443%2Fconsole%2Fapi%2Foidc%2Freturn"), "{address}");
        assert!(!address.contains(errand.verifier.expose()));
        headers.insert(header::COOKIE, format!("{COOKIE}=a.b.c").parse().unwrap());
        assert_eq!(Errand::of(&headers), None);
    }

    #[test]
    fn answers_to_another_sign_in_are_refused() {
        let (own, other) = (errand(1), errand(2));
        let answer = |errand: &Errand| format!("code=abc&state={}", errand.state.expose());
        assert_eq!(own.code(&answer(&own)).unwrap().expose(), "abc");
        assert!(own.code(&answer(&other)).unwrap_err().contains("another"));
        assert!(own.code("code=abc").is_err());
        assert!(own.code(&format!("error=access_denied&state={}", own.state.expose())).unwrap_err().contains("access_denied"));
        let token = |errand: &Errand| {
            let claims = URL_SAFE_NO_PAD.encode(json!({ "nonce": errand.nonce.expose() }).to_string());
            json!({ "id_token": format!("e30.{claims}.c2ln") }).to_string()
        };
        assert!(own.id_token(token(&own).as_bytes()).is_ok());
        assert!(own.id_token(token(&other).as_bytes()).unwrap_err().contains("another"));
        for broken in ["", "{}", "{\"id_token\":\"x\"}", "{\"id_token\":\"e30.e30.c2ln\"}"] {
            assert!(own.id_token(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_host_is_a_host() {
        assert!(is_host("localhost") && is_host("[::1]:443") && is_host("usher.example:8443"));
        assert!(!is_host("") && !is_host("a/b") && !is_host("a@b") && !is_host("a b"));
    }
}
