//! What a device says of itself and shows as proof, whatever the transport. Nothing in here is believed yet.

use std::{fmt, net::IpAddr};

pub use usher_domain::Transport;
use usher_domain::{ErrorCode, IdScope, RegistrationId, ServiceError, TrackingId};

/// A device's request, before any proof.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The ID scope it names.
    pub id_scope: IdScope,
    /// Who it says it is.
    pub claimed_id: RegistrationId,
    /// The API version it speaks; empty where the transport carried none.
    pub api_version: String,
    /// What it shows.
    pub evidence: Evidence,
    /// Names this attempt in answers and logs.
    pub tracking_id: TrackingId,
    /// How it came.
    pub transport: Transport,
    /// From where, where known.
    pub peer: Option<IpAddr>,
}

impl Claim {
    /// Checks the two names a device gives, which arrive as text.
    pub fn names(id_scope: &str, registration_id: &str) -> Result<(IdScope, RegistrationId), ServiceError> {
        let scope = IdScope::parse(id_scope).map_err(|why| ServiceError::with(ErrorCode::InvalidId, why.to_string()))?;
        let id = RegistrationId::parse(registration_id).map_err(|why| ServiceError::with(ErrorCode::InvalidId, why.to_string()))?;
        Ok((scope, id))
    }
}

/// What a device shows. The enrollment decides which part counts.
#[derive(Clone, Default)]
pub struct Evidence {
    /// The client certificate chain as presented in TLS, leaf first; the leaf's key was proven there. Empty for none.
    pub certificates: Vec<Vec<u8>>,
    /// The SAS token as sent.
    pub sas_token: Option<String>,
    /// The TPM's public keys, where the transport carries them apart from the body.
    pub tpm: Option<TpmKeysShown>,
}

/// A TPM's public keys as a device shows them, TPM2B_PUBLIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmKeysShown {
    /// The endorsement key.
    pub endorsement_key: Vec<u8>,
    /// The storage root key.
    pub storage_root_key: Vec<u8>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evidence({} certificates, token: {})", self.certificates.len(), self.sas_token.is_some())
    }
}
