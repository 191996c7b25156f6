//! A device's claim to be an enrolled TPM, and its proof.

use usher_domain::{IdScope, RegistrationId, Timestamp, enrollment::TpmKeys};

use super::{StorageKey, TpmError, blob, blob::HMAC_KEY_BYTES};
use crate::{Check, Means, ProvenIdentity, Refusal, SasToken, symmetric::check_resource};

/// The keys that a device sent, found to be the enrolled ones. Anyone can copy them: they prove nothing yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    endorsement_key: StorageKey,
    storage_root_key: StorageKey,
}

impl Claim {
    /// Reads both keys (TPM2B_PUBLIC) and compares them with the enrollment: the endorsement key always, the storage root key where the
    /// enrollment pins one. Decoded bytes are compared, for base64 can be written in more than one way.
    pub fn check(endorsement_key: &[u8], storage_root_key: &[u8], enrolled: &TpmKeys) -> Result<Self, Refusal> {
        let endorsement_key = StorageKey::parse(endorsement_key).map_err(|error| unusable("The endorsement key", error))?;
        let storage_root_key = StorageKey::parse(storage_root_key).map_err(|error| unusable("The storage root key", error))?;
        if !is_enrolled(&endorsement_key, &enrolled.endorsement_key)? {
            return Err(Refusal::new(
                Check::EndorsementKey,
                format!("The device's endorsement key is {endorsement_key:?}, another is enrolled."),
            ));
        }
        if let Some(pinned) = &enrolled.storage_root_key
            && !is_enrolled(&storage_root_key, pinned)?
        {
            let detail = format!("The device's storage root key is {storage_root_key:?}, another is enrolled.");
            return Err(Refusal::new(Check::StorageRootKey, detail));
        }
        Ok(Self { endorsement_key, storage_root_key })
    }

    /// The endorsement key.
    pub fn endorsement_key(&self) -> &StorageKey {
        &self.endorsement_key
    }

    /// The storage root key.
    pub fn storage_root_key(&self) -> &StorageKey {
        &self.storage_root_key
    }

    /// The blob by which this TPM, and no other, comes to hold `hmac_key`: in the challenge a session key, in the final answer the key for
    /// the hub. `uri` (at most [`super::URI_BYTES_MAX`] bytes) should not be empty; the hub's name will do. Fresh randomness goes into
    /// each blob, so that two for the same key differ.
    pub fn activation_blob(&self, hmac_key: &[u8; HMAC_KEY_BYTES], uri: &str) -> Result<Vec<u8>, Refusal> {
        blob::activation_blob(&self.endorsement_key, &self.storage_root_key, hmac_key, uri)
            .map_err(|error| unusable("One of the TPM's keys", error))
    }
}

/// Proves a TPM by a token that it signed with the session key, which it was sent by [`Claim::activation_blob`]. The caller must take
/// `claim` and `session_key` from the same challenge.
pub fn prove(
    token: &SasToken,
    id_scope: &IdScope,
    registration_id: &RegistrationId,
    claim: &Claim,
    session_key: &[u8; HMAC_KEY_BYTES],
    now: Timestamp,
) -> Result<ProvenIdentity, Refusal> {
    check_resource(token, id_scope, registration_id)?;
    token.verify(session_key, now)?;
    Ok(ProvenIdentity::new(registration_id, Means::Tpm { claim: Box::new(claim.clone()) }))
}

fn is_enrolled(key: &StorageKey, enrolled: &str) -> Result<bool, Refusal> {
    let enrolled = StorageKey::from_base64(enrolled).map_err(|error| unusable("The enrolled key", error))?;
    Ok(*key == enrolled)
}

fn unusable(what: &str, error: TpmError) -> Refusal {
    Refusal::new(Check::TpmKeyForm, format!("{what} cannot be used: {error}."))
}
