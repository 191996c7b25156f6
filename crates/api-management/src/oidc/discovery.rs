//! An issuer's description of itself (OpenID Connect Discovery 1.0, sections 3 and 4).

use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Where an issuer's description is.
pub fn url(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// Where the issuer's keys are.
///
/// # Errors
/// In words, where the document is none or speaks of another issuer (section 4.3).
pub fn jwks_uri(issuer: &str, document: &[u8]) -> Result<String, String> {
    let document: Document = serde_json::from_slice(document).map_err(|_| "the issuer's description is not one of OpenID Connect")?;
    if document.issuer != issuer {
        return Err(format!("the issuer calls itself {:.200}, not {issuer}", document.issuer));
    }
    Ok(document.jwks_uri)
}
