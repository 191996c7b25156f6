//! An issuer's description of itself (OpenID Connect Discovery 1.0, sections 3 and 4).

use serde::Deserialize;

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

/// Where people log in, and where codes are exchanged for tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// For browsers.
    pub authorization: String,
    /// For this server.
    pub token: String,
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
    Ok(read(issuer, document)?.jwks_uri)
}

/// Where people log in.
///
/// # Errors
/// As for the keys, and where the issuer has no such place, as those for machines only.
pub fn endpoints(issuer: &str, document: &[u8]) -> Result<Endpoints, String> {
    match read(issuer, document)? {
        Document { authorization_endpoint: Some(authorization), token_endpoint: Some(token), .. } => Ok(Endpoints { authorization, token }),
        _ => Err("the issuer has no place where people log in".into()),
    }
}

fn read(issuer: &str, document: &[u8]) -> Result<Document, String> {
    let document: Document = serde_json::from_slice(document).map_err(|_| "the issuer's description is not one of OpenID Connect")?;
    if document.issuer != issuer {
        return Err(format!("the issuer calls itself {:.200}, not {issuer}", document.issuer));
    }
    Ok(document)
}
