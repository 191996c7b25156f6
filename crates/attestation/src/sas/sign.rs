//! Making tokens, for clients: the simulated devices, the command line and the connectors that call a hub.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 section 2.3 is escaped, so that the text is safe in a header, a form and a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The text that a token signs: the resource as it stands in the token, a line feed, the expiry in seconds since the Unix epoch.
/// A TPM signs this text itself.
pub fn signed_text(escaped_resource: &str, expiry_s: i64) -> String {
    format!("{escaped_resource}\n{expiry_s}")
}

/// Makes a token for `resource`, given in plain text, valid until `expiry_s` (seconds since the Unix epoch). `key_name` names a shared
/// access policy; devices leave it out or send `registration`.
pub fn sign(resource: &str, key: &[u8], expiry_s: i64, key_name: Option<&str>) -> String {
    let resource = utf8_percent_encode(resource, ESCAPED).to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed_text(&resource, expiry_s).as_bytes());
    let signature = STANDARD.encode(tag.as_ref());
    let signature = utf8_percent_encode(&signature, ESCAPED);
    let token = format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry_s}");
    match key_name {
        Some(name) => format!("{token}&skn={}", utf8_percent_encode(name, ESCAPED)),
        None => token,
    }
}
