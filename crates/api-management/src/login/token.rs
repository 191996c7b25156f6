//! The tokens that a log-in gives: JSON web tokens with an HMAC under a key that every node of the installation has (RFC 7518 section 3.2).

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use usher_domain::{Secret, Timestamp};

use crate::{
    CLIENT_ID, SUBSCRIPTION,
    jwt::{Jwt, seconds},
};

/// How long a token counts, in seconds, as the cloud's do.
pub const LIFETIME_S: i64 = 3600;
/// Whose tokens these are, and for what; apart from every OIDC issuer's, which are URLs.
const ISSUER: &str = "usher";
const AUDIENCE: &str = "usher:management";

/// A token for this client, from now on. `oid`, the client's ID as the directory knows it, is there so that Terraform's azurerm does not
/// ask Microsoft Graph for it (terraform-provider-azurerm: internal/clients/auth.go).
pub fn issue(key: &Secret, client: &str, now: Timestamp) -> Secret {
    let (begin, end) = (now.secs(), now.secs().saturating_add(LIFETIME_S));
    let head = json!({ "typ": "JWT", "alg": "HS256" });
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "tid": SUBSCRIPTION, "sub": client, "appid": client, "oid": CLIENT_ID, "iat": begin, "nbf": begin,
        "exp": end,
    });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&head), encode(&claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&hmac_key(key), signed.as_bytes()));
    Secret::new(format!("{signed}.{signature}"))
}

/// What a token of ours is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It opens the API.
    Good,
    /// It did.
    Expired,
    /// It is none of ours.
    Foreign,
}

/// Judges a token. Its own key and the one algorithm are all that counts, whatever its header names.
pub fn judge(key: &Secret, token: &str, now: Timestamp) -> Worth {
    let Ok(token) = Jwt::parse(token) else { return Worth::Foreign };
    let is_ours = token.algorithm == "HS256"
        && hmac::verify(&hmac_key(key), token.signed, &token.signature).is_ok()
        && token.claims.get("aud").and_then(Value::as_str) == Some(AUDIENCE);
    match seconds(&token.claims, "exp") {
        Some(end) if is_ours && now.secs() < end => Worth::Good,
        Some(_) if is_ours => Worth::Expired,
        _ => Worth::Foreign,
    }
}

fn hmac_key(key: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_for_an_hour_and_only_with_its_key() {
        let (key, now) = (Secret::new("k1"), Timestamp::from_secs(1_780_000_000));
        let token = issue(&key, "admin", now);
        let after = |seconds: i64| now.plus_millis(seconds * 1000);
        assert_eq!(judge(&key, token.expose(), after(LIFETIME_S - 1)), Worth::Good);
        assert_eq!(judge(&key, token.expose(), after(LIFETIME_S)), Worth::Expired);
        assert_eq!(judge(&Secret::new("k2"), token.expose(), now), Worth::Foreign);
    }

    #[test]
    fn a_token_that_was_changed_counts_for_nothing() {
        let (key, now) = (Secret::new("k1"), Timestamp::from_secs(1_780_000_000));
        let token = issue(&key, "admin", now).expose().to_owned();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let (_, rest) = token.split_once('.').unwrap_or_default();
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(r#"{"aud":"usher:management","exp":9999999999}"#));
        let other_head = format!("{}.{rest}", encode(r#"{"alg":"HS256"}"#));
        for forged in [unsigned.as_str(), &other_head, &format!("{token}A"), "", "admin"] {
            assert_eq!(judge(&key, forged, now), Worth::Foreign, "{forged}");
        }
    }
}
