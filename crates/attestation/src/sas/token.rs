//! Reading a token and checking it.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;
use usher_domain::Timestamp;

use super::resource;
use crate::CLOCK_SKEW_S;

/// Longest token read, in bytes. The longest resource that a client can name (host, two IDs of 128 characters, each escaped) and a
/// signature stay below 1 KiB; four times that leaves room for clients that escape everything.
pub const TOKEN_CHARS_MAX: usize = 4096;

const PREFIX: &str = "SharedAccessSignature ";

/// Padding may be missing: some firmware trims `=` instead of escaping it, and the signature's bytes are the same.
const SIGNATURE_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A token that has been read, not yet believed.
#[derive(Clone, PartialEq, Eq)]
pub struct SasToken {
    /// `sr\nse`, as they stand in the token.
    signed_text: String,
    resource: String,
    signature: Vec<u8>,
    expiry_s: i64,
    key_name: Option<String>,
}

/// The check that a token failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SasError {
    /// The text is not a token.
    Malformed {
        /// The part that cannot be read: `prefix`, `length`, or a field's name.
        field: &'static str,
    },
    /// It is for another resource.
    WrongResource,
    /// It was not signed with this key.
    BadSignature,
    /// It has expired.
    Expired {
        /// By how many seconds, the tolerance of [`CLOCK_SKEW_S`] not deducted.
        by_s: i64,
    },
}

impl fmt::Display for SasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { field } => write!(f, "the SAS token is malformed: {field}"),
            Self::WrongResource => f.write_str("the SAS token is for another resource"),
            Self::BadSignature => f.write_str("the SAS token's signature does not match the key"),
            Self::Expired { by_s } => {
                write!(f, "the SAS token expired {by_s} seconds ago ({CLOCK_SKEW_S} seconds are tolerated)")
            }
        }
    }
}

impl std::error::Error for SasError {}

impl SasToken {
    /// Reads a token: at most [`TOKEN_CHARS_MAX`] bytes; fields in any order; `sr`, `sig` and `se` once each, `skn` at most once and
    /// possibly empty; other fields are ignored.
    pub fn parse(text: &str) -> Result<Self, SasError> {
        if text.len() > TOKEN_CHARS_MAX {
            return Err(SasError::Malformed { field: "length" });
        }
        let (prefix, fields) = text.split_at_checked(PREFIX.len()).ok_or(SasError::Malformed { field: "prefix" })?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(SasError::Malformed { field: "prefix" });
        }
        let fields = Fields::read(fields.trim())?;
        let sr = fields.sr.filter(|sr| !sr.is_empty()).ok_or(SasError::Malformed { field: "sr" })?;
        let se = fields.se.ok_or(SasError::Malformed { field: "se" })?;
        let signature = fields.sig.and_then(read_signature).ok_or(SasError::Malformed { field: "sig" })?;
        let key_name = match fields.skn {
            Some(name) if !name.is_empty() => Some(percent_decode(name).ok_or(SasError::Malformed { field: "skn" })?),
            _ => None,
        };
        Ok(Self {
            signed_text: format!("{sr}\n{se}"),
            resource: percent_decode(sr).ok_or(SasError::Malformed { field: "sr" })?,
            signature,
            expiry_s: read_expiry(se).ok_or(SasError::Malformed { field: "se" })?,
            key_name,
        })
    }

    /// The resource, decoded.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The name of the key, where one is given; devices send `registration`, nothing, or no field at all.
    pub fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref()
    }

    /// When it expires, in seconds since the Unix epoch.
    pub fn expiry_s(&self) -> i64 {
        self.expiry_s
    }

    /// Whether the resource is exactly `wanted` (plain text), compared without case.
    pub fn is_for(&self, wanted: &str) -> bool {
        self.resource.eq_ignore_ascii_case(wanted)
    }

    /// Whether the resource names `host_and_path` (plain text: decoded, without a query) or something above it, segment by segment,
    /// without case.
    pub fn covers(&self, host_and_path: &str) -> bool {
        resource::covers(&self.resource, host_and_path)
    }

    /// Checks the signature in constant time, then the expiry. The signature comes first, so that only the key's holder is told of a
    /// clock that runs apart. An expiry far in the future is accepted: operators make long-lived tokens on purpose.
    pub fn verify(&self, key: &[u8], now: Timestamp) -> Result<(), SasError> {
        self.verify_signature(key)?;
        self.verify_expiry(now)
    }

    /// Checks the signature alone, in constant time.
    pub fn verify_signature(&self, key: &[u8]) -> Result<(), SasError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        hmac::verify(&key, self.signed_text.as_bytes(), &self.signature).map_err(|_| SasError::BadSignature)
    }

    /// Checks the expiry alone; [`CLOCK_SKEW_S`] seconds are tolerated.
    pub fn verify_expiry(&self, now: Timestamp) -> Result<(), SasError> {
        let by_s = now.secs().saturating_sub(self.expiry_s);
        if by_s > CLOCK_SKEW_S { Err(SasError::Expired { by_s }) } else { Ok(()) }
    }
}

/// A token is a bearer's secret while it lasts: the signature is left out.
impl fmt::Debug for SasToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, expiry_s, key_name, .. } = self;
        f.debug_struct("SasToken")
            .field("resource", resource)
            .field("expiry_s", expiry_s)
            .field("key_name", key_name)
            .finish_non_exhaustive()
    }
}

/// The fields as they stand in the text.
#[derive(Default)]
struct Fields<'a> {
    sr: Option<&'a str>,
    sig: Option<&'a str>,
    se: Option<&'a str>,
    skn: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, SasError> {
        let mut fields = Self::default();
        for part in text.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (slot, field) = match name {
                "sr" => (&mut fields.sr, "sr"),
                "sig" => (&mut fields.sig, "sig"),
                "se" => (&mut fields.se, "se"),
                "skn" => (&mut fields.skn, "skn"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SasError::Malformed { field });
            }
        }
        Ok(fields)
    }
}

/// Percent-decodes; `+` stays a plus, for base64 contains it and no client writes a space that way.
fn percent_decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

fn read_signature(text: &str) -> Option<Vec<u8>> {
    let decoded: Vec<u8> = percent_decode_str(text).collect();
    SIGNATURE_BASE64.decode(decoded).ok()
}

fn read_expiry(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
