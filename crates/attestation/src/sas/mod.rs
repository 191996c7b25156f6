//! Shared access signatures: the bearer tokens of devices, operators and hubs.
//!
//! `SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry>[&skn=<key name>]`, where the signature is HMAC-SHA-256 over the
//! resource and the expiry **as they stand in the token**, joined by a line feed. Clients escape the resource in three ways (raw,
//! `%2f`, `%2F`), so decoding and encoding again would break some of them: the text is kept as it came
//! (azure-iot-sdk-node: azure-iot-common/dist/shared_access_signature.js; azure-iot-sdk-python: common/auth/sastoken.py;
//! azure-sdk-for-c: az_iot_provisioning_client_sas.c).

mod key;
mod resource;
mod sign;
mod token;

pub use key::{KeyError, check_key, decode_key, derive_device_key};
pub use sign::{sign, signed_text};
pub use token::{SasError, SasToken, TOKEN_CHARS_MAX};
