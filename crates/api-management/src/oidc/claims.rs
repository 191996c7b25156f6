//! What a token of the issuer must claim. Pure; the signature is another matter.

use usher_domain::Timestamp;

use super::{OidcSettings, Rejection};
use crate::jwt::{Jwt, LEEWAY_S, says, seconds};

/// Checks algorithm, issuer, audience and time: what can be refused without a key.
pub fn check(token: &Jwt<'_>, settings: &OidcSettings, now: Timestamp) -> Result<(), Rejection> {
    if !matches!(token.algorithm.as_str(), "RS256" | "ES256") {
        return Err(Rejection::Algorithm);
    }
    if token.claims.get("iss").and_then(|issuer| issuer.as_str()) != Some(settings.issuer.as_str()) {
        return Err(Rejection::Issuer);
    }
    if !says(&token.claims, "aud", &settings.audience) {
        return Err(Rejection::Audience);
    }
    if seconds(&token.claims, "exp").is_none_or(|end| now.secs() >= end.saturating_add(LEEWAY_S)) {
        return Err(Rejection::Expired);
    }
    let begins = token.claims.contains_key("nbf").then(|| seconds(&token.claims, "nbf").unwrap_or(i64::MAX));
    if begins.is_some_and(|begin| now.secs() < begin.saturating_sub(LEEWAY_S)) {
        return Err(Rejection::NotYet);
    }
    Ok(())
}

/// Checks the claim that administrators must have; asked last, so that only the issuer's own tokens hear of it.
pub fn check_required(token: &Jwt<'_>, settings: &OidcSettings) -> Result<(), Rejection> {
    match &settings.claim {
        Some((name, value)) if !says(&token.claims, name, value) => Err(Rejection::Claim),
        _ => Ok(()),
    }
}

/// Longest subject that is kept, in characters (OpenID Connect Core 1.0 section 2: 255).
const SUBJECT_CHARS_MAX: usize = 255;

/// Whose token it is, as the issuer calls them.
pub fn subject(token: &Jwt<'_>) -> String {
    let subject = token.claims.get("sub").and_then(|subject| subject.as_str()).unwrap_or_default();
    subject.chars().take(SUBJECT_CHARS_MAX).collect()
}
