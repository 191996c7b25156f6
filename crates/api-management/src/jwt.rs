//! JSON web tokens, taken apart and nothing more (RFC 7515, RFC 7519). What stands in one is worth nothing until its signature is checked.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Longest token, in bytes. Directories send one to four thousand; with hundreds of groups in it a token grows past what proxies let
/// through as a header.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How far the clocks of issuer and node may be apart, in seconds.
pub const LEEWAY_S: i64 = 60;

/// A token in its parts.
#[derive(Debug)]
pub struct Jwt<'a> {
    /// The signature's algorithm, as the token says.
    pub algorithm: String,
    /// The key's ID, as the token says.
    pub key_id: Option<String>,
    /// What it claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: Vec<u8>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// It is not three parts in base64url, or the first two are not JSON objects.
    NotJwt,
    /// It has a header that must be understood and is not (RFC 7515 section 4.1.11).
    Critical,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Malformed::NotJwt)?;
        let (head, claims) = signed.split_once('.').ok_or(Malformed::NotJwt)?;
        let head = object(head)?;
        if head.contains_key("crit") {
            return Err(Malformed::Critical);
        }
        let text = |name: &str| head.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            algorithm: text("alg").ok_or(Malformed::NotJwt)?,
            key_id: text("kid"),
            claims: object(claims)?,
            signed: signed.as_bytes(),
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| Malformed::NotJwt)?,
        })
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Malformed> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::NotJwt)?;
    serde_json::from_slice(&bytes).map_err(|_| Malformed::NotJwt)
}

/// A time of a token, in seconds since the Unix epoch; fractions are cut off (RFC 7519 section 2: NumericDate).
pub fn seconds(claims: &Map<String, Value>, name: &str) -> Option<i64> {
    let number = claims.get(name)?;
    // A cast of a float saturates, and a token that far in the future is as good as one of today plus an hour.
    number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64))
}

/// Whether a claim is this text, or a list that has it.
pub fn says(claims: &Map<String, Value>, name: &str, wanted: &str) -> bool {
    match claims.get(name) {
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(list)) => list.iter().any(|entry| entry.as_str() == Some(wanted)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_told_apart() {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = |head: &str, claims: &str| format!("{}.{}.{}", encode(head), encode(claims), encode("s"));
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", &token("[]", "{}"), &token("{}", "{}"), &token(r#"{"alg":1}"#, "{}")] {
            assert_eq!(Jwt::parse(text).map(|_| ()), Err(Malformed::NotJwt), "{text}");
        }
        let critical = token(r#"{"alg":"RS256","crit":["x"]}"#, "{}");
        assert_eq!(Jwt::parse(&critical).map(|_| ()), Err(Malformed::Critical));
        assert_eq!(Jwt::parse(&"a".repeat(TOKEN_BYTES_MAX + 1)).map(|_| ()), Err(Malformed::TooLong));
        assert!(Jwt::parse(&token(r#"{"alg":"RS256"}"#, "{}")).is_ok());
    }
}
