//! Proof by a symmetric key: a SAS token over `{ID scope}/registrations/{registration ID}`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_domain::{IdScope, RegistrationId, Secret, Timestamp, enrollment::SymmetricKeys};
use zeroize::Zeroizing;

use crate::{
    Check, KeyPlace, Means, ProvenIdentity, Refusal, SasError, SasToken,
    sas::{decode_key, derive_device_key},
};

impl From<SasError> for Refusal {
    fn from(error: SasError) -> Self {
        let check = match error {
            SasError::Malformed { .. } => Check::TokenForm,
            SasError::WrongResource => Check::TokenResource,
            SasError::BadSignature => Check::TokenSignature,
            SasError::Expired { .. } => Check::TokenExpiry,
        };
        Self::new(check, format!("{error}."))
    }
}

/// Proves a device by its individual enrollment's keys, either of them.
pub fn prove_individual(
    token: &SasToken,
    id_scope: &IdScope,
    registration_id: &RegistrationId,
    keys: &SymmetricKeys,
    now: Timestamp,
) -> Result<ProvenIdentity, Refusal> {
    check_resource(token, id_scope, registration_id)?;
    let Some(signed_with) = which_key(keys, |key| token.verify_signature(key).is_ok())? else {
        return Err(Refusal::new(Check::TokenSignature, "The token was signed with neither key of the individual enrollment."));
    };
    token.verify_expiry(now)?;
    Ok(ProvenIdentity::new(registration_id, Means::SymmetricKey { keys: keys.clone(), signed_with }))
}

/// Proves a device by a key derived from one of its group's keys.
///
/// The registration ID goes into the derivation as the device spells it, then in lower case: tools derive from either, and the
/// documentation advises lower case (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-symmetric-key-attestation.md).
pub fn prove_group(
    token: &SasToken,
    id_scope: &IdScope,
    registration_id: &RegistrationId,
    group_keys: &SymmetricKeys,
    now: Timestamp,
) -> Result<ProvenIdentity, Refusal> {
    check_resource(token, id_scope, registration_id)?;
    let spellings = spellings(registration_id);
    for spelling in &spellings {
        let signed_with = which_key(group_keys, |group_key| {
            let key = Zeroizing::new(derive_device_key(group_key, spelling));
            token.verify_signature(key.as_slice()).is_ok()
        })?;
        if let Some(signed_with) = signed_with {
            token.verify_expiry(now)?;
            let keys = derived_keys(group_keys, spelling)?;
            return Ok(ProvenIdentity::new(registration_id, Means::SymmetricKey { keys, signed_with }));
        }
    }
    let tried = spellings.join("' and '");
    Err(Refusal::new(Check::TokenSignature, format!("The token was signed with no key derived from the group's two keys and '{tried}'.")))
}

/// The device's own keys in a group, base64. Fails where the group's keys are not base64.
pub fn derived_keys(group_keys: &SymmetricKeys, registration_id: &str) -> Result<SymmetricKeys, Refusal> {
    let derive = |secret: &Secret| -> Result<Secret, Refusal> {
        let key = Zeroizing::new(derive_device_key(&decoded(secret)?, registration_id));
        Ok(Secret::new(STANDARD.encode(key.as_slice())))
    };
    Ok(SymmetricKeys { primary: derive(&group_keys.primary)?, secondary: derive(&group_keys.secondary)? })
}

/// The resource that a device's token must be for.
pub fn device_resource(id_scope: &IdScope, registration_id: &RegistrationId) -> String {
    format!("{id_scope}/registrations/{registration_id}")
}

pub(crate) fn check_resource(token: &SasToken, id_scope: &IdScope, registration_id: &RegistrationId) -> Result<(), Refusal> {
    let wanted = device_resource(id_scope, registration_id);
    if token.is_for(&wanted) {
        return Ok(());
    }
    Err(Refusal::new(
        Check::TokenResource,
        format!("The token is for '{}', the device connects as '{wanted}'.", token.resource().escape_debug()),
    ))
}

/// The ID as presented, then folded where that differs.
fn spellings(registration_id: &RegistrationId) -> Vec<String> {
    let presented = registration_id.as_str().to_owned();
    let folded = registration_id.folded();
    if folded == presented { vec![presented] } else { vec![presented, folded] }
}

/// The key that passes, primary first.
fn which_key(keys: &SymmetricKeys, passes: impl Fn(&[u8]) -> bool) -> Result<Option<KeyPlace>, Refusal> {
    for (secret, place) in [(&keys.primary, KeyPlace::Primary), (&keys.secondary, KeyPlace::Secondary)] {
        if passes(&decoded(secret)?) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn decoded(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    decode_key(secret.expose()).map_err(|error| Refusal::new(Check::EnrolledKey, format!("The enrollment's key cannot be used: {error}.")))
}
