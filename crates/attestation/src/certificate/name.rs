//! X.500 names as text, in the spelling of .NET's `X509Certificate2.Subject`, which is what the cloud service returns and operators
//! compare with: the last relative name first, parts joined by `, `, values quoted where they hold special characters.

use std::fmt::Write as _;

use x509_parser::{
    asn1_rs::Tag,
    der_parser::oid::Oid,
    x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name},
};

/// Keys that .NET writes by name, by the OID's dotted form; others are written `OID.1.2.3`.
const KEYS: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.43", "I"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "E"),
];

/// The name as text.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name.iter_rdn().map(rdn_text).collect();
    parts.reverse();
    parts.join(", ")
}

/// The common name, where the subject has exactly one and it can be read.
pub(crate) fn single_common_name(name: &X509Name<'_>) -> Option<String> {
    let mut names = name.iter_common_name();
    let first = names.next()?;
    if names.next().is_some() { None } else { value(first) }
}

fn rdn_text(rdn: &RelativeDistinguishedName<'_>) -> String {
    let parts: Vec<String> = rdn.iter().map(|part| format!("{}={}", key(part.attr_type()), shown_value(part))).collect();
    parts.join(" + ")
}

fn key(oid: &Oid<'_>) -> String {
    let dotted = oid.to_id_string();
    KEYS.iter().find(|(known, _)| *known == dotted).map_or_else(|| format!("OID.{dotted}"), |(_, name)| (*name).to_owned())
}

fn shown_value(part: &AttributeTypeAndValue<'_>) -> String {
    match value(part) {
        Some(text) => quoted(text),
        None => part.as_slice().iter().fold("#".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02X}");
            hex
        }),
    }
}

/// The value, in any of the string types of RFC 5280's DirectoryString, or an IA5String or NumericString.
fn value(part: &AttributeTypeAndValue<'_>) -> Option<String> {
    if let Ok(text) = part.as_str() {
        return Some(text.to_owned());
    }
    let bytes = part.as_slice();
    match part.attr_value().tag() {
        // Latin-1 is what T61String means in practice.
        Tag::TeletexString => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString if bytes.len().is_multiple_of(2) => {
            let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok()).map(u16::from_be_bytes);
            char::decode_utf16(units).collect::<Result<String, _>>().ok()
        }
        _ => None,
    }
}

fn quoted(text: String) -> String {
    let special = text.is_empty()
        || text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.contains([',', '+', '=', '"', '\n', '\r', '<', '>', '#', ';']);
    if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
