//! How a device proves itself to the hub: the stored form, and reading it from a request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use usher_domain::{
    Secret,
    hub_device::DeviceCredential,
    limits::{KEY_BYTES_MAX, KEY_BYTES_MIN},
};

use crate::Fault;

/// Bytes of a key that the hub draws itself (IoT Hub's have 32).
pub const KEY_BYTES: usize = 32;

/// How a device proves itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Authentication {
    /// SAS tokens signed with either key.
    Sas {
        /// Base64.
        primary: Secret,
        /// Base64.
        secondary: Secret,
    },
    /// A client certificate with one of these thumbprints, upper-case hex.
    SelfSigned {
        /// SHA-1 or SHA-256.
        primary: Option<String>,
        /// SHA-1 or SHA-256.
        secondary: Option<String>,
    },
    /// A client certificate under a CA that the hub trusts, common name = device ID.
    CertificateAuthority,
}

impl Authentication {
    /// The word in `authentication.type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Sas { .. } => "sas",
            Self::SelfSigned { .. } => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
        }
    }

    /// What provisioning wants. Refused where a key or thumbprint is malformed.
    pub fn from_credential(credential: &DeviceCredential) -> Result<Self, Fault> {
        match credential {
            DeviceCredential::SymmetricKeys { primary, secondary } | DeviceCredential::TpmKeys { primary, secondary } => {
                check_key(primary)?;
                check_key(secondary)?;
                Ok(Self::Sas { primary: primary.clone(), secondary: secondary.clone() })
            }
            DeviceCredential::Thumbprints { primary, secondary } => {
                let secondary = secondary.as_deref().map(check_thumbprint).transpose()?;
                Ok(Self::SelfSigned { primary: Some(check_thumbprint(primary)?), secondary })
            }
            DeviceCredential::CertificateAuthority => Ok(Self::CertificateAuthority),
        }
    }

    /// Reads `authentication` of a request. Keys that are left out are kept from `before`, or drawn by `new_key`.
    pub fn parse(body: Option<&Value>, before: Option<&Self>, new_key: impl FnMut() -> Secret) -> Result<Self, Fault> {
        let member = |name: &str| body.and_then(|body| body.get(name)).filter(|value| !value.is_null());
        let thumbprints = member("x509Thumbprint");
        let kind = match member("type") {
            Some(kind) => kind.as_str().unwrap_or_default(),
            None if text(thumbprints, "primaryThumbprint").or(text(thumbprints, "secondaryThumbprint")).is_some() => "selfSigned",
            None if body.is_none_or(Value::is_null) && before.is_some() => {
                return Ok(before.cloned().unwrap_or(Self::CertificateAuthority));
            }
            None => "sas",
        };
        match kind {
            "sas" => Self::parse_sas(member("symmetricKey"), before, new_key),
            "selfSigned" => Self::parse_self_signed(thumbprints),
            "certificateAuthority" => Ok(Self::CertificateAuthority),
            _ => Err(Fault::invalid("authentication.type must be sas, selfSigned or certificateAuthority.")),
        }
    }

    /// The whole of it, keys included, for those who may read the registry.
    pub fn document(&self) -> Value {
        let (primary, secondary) = match self {
            Self::Sas { primary, secondary } => (Some(primary.expose()), Some(secondary.expose())),
            _ => (None, None),
        };
        json!({
            "symmetricKey": { "primaryKey": primary, "secondaryKey": secondary },
            "x509Thumbprint": self.thumbprints_document(),
            "type": self.kind(),
        })
    }

    /// Thumbprints alone, as twins tell them.
    pub fn thumbprints_document(&self) -> Value {
        let (primary, secondary) = match self {
            Self::SelfSigned { primary, secondary } => (primary.as_deref(), secondary.as_deref()),
            _ => (None, None),
        };
        json!({ "primaryThumbprint": primary, "secondaryThumbprint": secondary })
    }

    fn parse_sas(keys: Option<&Value>, before: Option<&Self>, mut new_key: impl FnMut() -> Secret) -> Result<Self, Fault> {
        let (kept_primary, kept_secondary) = match before {
            Some(Self::Sas { primary, secondary }) => (Some(primary.clone()), Some(secondary.clone())),
            _ => (None, None),
        };
        let mut key = |name: &str, kept: Option<Secret>| match text(keys, name) {
            Some(key) => check_key(&Secret::new(key)).map(|()| Secret::new(key)),
            None => Ok(kept.unwrap_or_else(&mut new_key)),
        };
        Ok(Self::Sas { primary: key("primaryKey", kept_primary)?, secondary: key("secondaryKey", kept_secondary)? })
    }

    fn parse_self_signed(thumbprints: Option<&Value>) -> Result<Self, Fault> {
        let primary = text(thumbprints, "primaryThumbprint").map(check_thumbprint).transpose()?;
        let secondary = text(thumbprints, "secondaryThumbprint").map(check_thumbprint).transpose()?;
        if primary.is_none() && secondary.is_none() {
            return Err(Fault::invalid("selfSigned needs x509Thumbprint.primaryThumbprint or secondaryThumbprint."));
        }
        Ok(Self::SelfSigned { primary, secondary })
    }
}

/// A text member that is there and not empty: SDKs send empty keys to ask for new ones.
fn text<'a>(object: Option<&'a Value>, name: &str) -> Option<&'a str> {
    object.and_then(|object| object.get(name)).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn check_key(key: &Secret) -> Result<(), Fault> {
    let decoded = STANDARD.decode(key.expose()).map_err(|_| Fault::invalid("A symmetric key is not base64."))?;
    if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&decoded.len()) {
        return Ok(());
    }
    Err(Fault::invalid(format!("A symmetric key must have {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes.")))
}

fn check_thumbprint(text: &str) -> Result<String, Fault> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Fault::invalid("A thumbprint must be 40 (SHA-1) or 64 (SHA-256) hexadecimal digits."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn drawn() -> Secret {
        Secret::new("ZHJhd24ta2V5LWRyYXduLWtleS1kcmF3bi1rZXktMDA=")
    }

    #[test]
    fn missing_keys_are_drawn_and_kept_on_update() {
        let made = Authentication::parse(None, None, drawn).unwrap();
        assert_eq!(made, Authentication::Sas { primary: drawn(), secondary: drawn() });
        let given = json!({"type": "sas", "symmetricKey": {"primaryKey": KEY, "secondaryKey": ""}});
        let given = Authentication::parse(Some(&given), None, drawn).unwrap();
        assert_eq!(given, Authentication::Sas { primary: Secret::new(KEY), secondary: drawn() });
        let kept = json!({"type": "sas"});
        assert_eq!(Authentication::parse(Some(&kept), Some(&given), || unreachable!()).unwrap(), given);
        assert_eq!(Authentication::parse(None, Some(&given), || unreachable!()).unwrap(), given);
    }

    #[test]
    fn thumbprints_alone_imply_self_signed() {
        let body = json!({"x509Thumbprint": {"primaryThumbprint": "ab".repeat(20), "secondaryThumbprint": null}});
        let parsed = Authentication::parse(Some(&body), None, drawn).unwrap();
        assert_eq!(parsed, Authentication::SelfSigned { primary: Some("AB".repeat(20)), secondary: None });
        assert_eq!(parsed.document()["type"], "selfSigned");
        assert!(parsed.document()["symmetricKey"]["primaryKey"].is_null());
    }

    #[test]
    fn malformed_credentials_are_refused_without_repeating_them() {
        for body in [
            json!({"type": "sas", "symmetricKey": {"primaryKey": "not base64!"}}),
            json!({"type": "sas", "symmetricKey": {"primaryKey": "c2hvcnQ="}}),
            json!({"type": "selfSigned"}),
            json!({"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "zz"}}),
            json!({"type": "none"}),
        ] {
            let fault = Authentication::parse(Some(&body), None, drawn).unwrap_err();
            assert!(!fault.message.contains("c2hvcnQ"), "{fault}");
        }
    }
}
