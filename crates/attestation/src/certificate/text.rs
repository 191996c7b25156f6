//! From the text that operators send to DER.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use x509_parser::pem::Pem;

use super::{CERTIFICATE_TEXT_BYTES_MAX, CertificateError};

const PEM_START: &str = "-----BEGIN ";

/// The DER of the one certificate in `text`.
pub(super) fn to_der(text: &str) -> Result<Vec<u8>, CertificateError> {
    if text.len() > CERTIFICATE_TEXT_BYTES_MAX {
        return Err(CertificateError::TooLarge);
    }
    let mut all = to_ders(text, 1)?;
    all.pop().ok_or(CertificateError::None)
}

/// The DER of each certificate in `text`: one to `max`, in their order.
pub(super) fn to_ders(text: &str, max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    if text.len() > CERTIFICATE_TEXT_BYTES_MAX.saturating_mul(max) {
        return Err(CertificateError::TooLarge);
    }
    if text.contains(PEM_START) {
        return from_pem(text, max);
    }
    let packed: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(packed).map_err(|_| CertificateError::NotText)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.contains(PEM_START) => from_pem(inner, max),
        _ => Ok(vec![bytes]),
    }
}

fn from_pem(text: &str, max: usize) -> Result<Vec<Vec<u8>>, CertificateError> {
    // Lines are trimmed, since configuration files indent.
    let text: String = text.trim_start_matches('\u{feff}').lines().flat_map(|line| [line.trim(), "\n"]).collect();
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text.as_bytes()) {
        let block = block.map_err(|_| CertificateError::NotText)?;
        if block.label.ends_with("PRIVATE KEY") {
            return Err(CertificateError::PrivateKey);
        }
        if block.label != "CERTIFICATE" {
            continue;
        }
        if found.len() >= max {
            return Err(if max == 1 { CertificateError::Several } else { CertificateError::TooMany(max) });
        }
        found.push(block.contents);
    }
    if found.is_empty() { Err(CertificateError::None) } else { Ok(found) }
}
