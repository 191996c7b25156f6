//! TPM attestation: the challenge, and the proof that answers it.
//!
//! The challenge carries a session key that only the enrolled TPM can recover; the proof is a SAS token signed with it. Both halves may
//! run on different nodes and connections.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_attestation::{ProvenIdentity, Refusal, SasToken, tpm};
use usher_domain::{
    ErrorCode, OperationId, Secret, ServiceError, Timestamp,
    document::RegisterDocument,
    enrollment::{Attestation, TpmKeys},
    registration::{ProofSummary, Registration, TpmRegistration},
};
use usher_registry::{CHALLENGE_LIFETIME_MS, Challenge, Registry};
use usher_store::Op;

use crate::{
    claim::{Claim, TpmKeysShown, Transport},
    denial::Denial,
};

/// Tries at keeping a challenge while others are kept for the same device.
const CONFLICTS_MAX: usize = 5;

/// The keys that a device shows: in the claim (AMQP) or in the register body (HTTPS).
pub fn shown(claim: &Claim, document: &RegisterDocument) -> Result<Option<TpmKeysShown>, Denial> {
    if claim.evidence.tpm.is_some() {
        return Ok(claim.evidence.tpm.clone());
    }
    let Some(keys) = &document.tpm else { return Ok(None) };
    let decode = |text: &str, what: &str| {
        let answer = || ServiceError::with(ErrorCode::InvalidBody, format!("The {what} is not base64."));
        STANDARD.decode(text).map_err(|_| Denial::open("body.tpm", answer()))
    };
    let storage_root_key = keys.storage_root_key.as_deref().unwrap_or_default();
    Ok(Some(TpmKeysShown {
        endorsement_key: decode(&keys.endorsement_key, "endorsement key")?,
        storage_root_key: decode(storage_root_key, "storage root key")?,
    }))
}

/// Makes a challenge for a device that shows its TPM's keys and no token, and keeps it. `session_key` is fresh.
pub async fn challenge(
    registry: &Registry,
    claim: &Claim,
    shown: &TpmKeysShown,
    session_key: [u8; 32],
    now: Timestamp,
) -> Result<Vec<u8>, Denial> {
    if matches!(claim.transport, Transport::Mqtt | Transport::MqttWs) {
        return Err(not_over_mqtt());
    }
    let enrolled = enrolled_keys(registry, claim).await?;
    let tpm_claim = tpm::Claim::check(&shown.endorsement_key, &shown.storage_root_key, &enrolled)?;
    let blob = tpm_claim.activation_blob(&session_key, claim.id_scope.as_str())?;
    let kept = Challenge {
        endorsement_key: STANDARD.encode(&shown.endorsement_key),
        storage_root_key: STANDARD.encode(&shown.storage_root_key),
        session_key: Secret::new(STANDARD.encode(session_key)),
        expires_at: now.plus_millis(CHALLENGE_LIFETIME_MS),
        answered_by: None,
    };
    for _ in 0..CONFLICTS_MAX {
        match registry.keep_challenge(&claim.claimed_id, kept.clone(), now).await {
            Ok(()) => return Ok(blob),
            Err(usher_records::RecordError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Denial::open("store.conflict", ServiceError::new(ErrorCode::ConcurrentChange)))
}

/// Proves a TPM by a token signed with the session key of one of its challenges, and says which one.
///
/// The answer to a challenge begins one operation. While that is the device's last, `latest`, the same token may ask for it again, as
/// polls over HTTPS do; for anything else it is worth nothing.
pub async fn prove(
    registry: &Registry,
    claim: &Claim,
    keys: &TpmKeys,
    latest: Option<&OperationId>,
    now: Timestamp,
) -> Result<(ProvenIdentity, Challenge), Denial> {
    let text = claim.evidence.sas_token.as_deref().ok_or_else(no_token)?;
    let token = SasToken::parse(text).map_err(|error| Denial::from(Refusal::from(error)))?;
    let mut closest: Option<Denial> = None;
    for challenge in registry.challenges(&claim.claimed_id, now).await? {
        match prove_one(&token, claim, keys, &challenge, now) {
            Ok(_) if challenge.answered_by.is_some() && challenge.answered_by.as_ref() != latest => return Err(answered()),
            Ok(proven) => return Ok((proven, challenge)),
            Err(denial) => drop(closest.get_or_insert(denial)),
        }
    }
    Err(closest.unwrap_or_else(no_challenge))
}

fn prove_one(token: &SasToken, claim: &Claim, keys: &TpmKeys, challenge: &Challenge, now: Timestamp) -> Result<ProvenIdentity, Denial> {
    let decode = |text: &str| STANDARD.decode(text).unwrap_or_default();
    // The enrollment may have changed since the challenge: the keys are held against it again.
    let tpm_claim = tpm::Claim::check(&decode(&challenge.endorsement_key), &decode(&challenge.storage_root_key), keys)?;
    let session_key: [u8; 32] = decode(challenge.session_key.expose()).try_into().map_err(|_| no_challenge())?;
    Ok(tpm::prove(token, &claim.id_scope, &claim.claimed_id, &tpm_claim, &session_key, now)?)
}

async fn enrolled_keys(registry: &Registry, claim: &Claim) -> Result<TpmKeys, Denial> {
    match registry.individual(&claim.claimed_id).await?.map(|found| found.value.attestation) {
        Some(Attestation::Tpm(keys)) => Ok(keys),
        Some(_) => Err(Denial::unauthorized(
            "attestation.kind",
            "the device shows a TPM, and its enrollment demands another attestation",
            "Enroll the device's endorsement key, or configure the device's own attestation.",
        )),
        // .NET's own tests expect this code for a TPM that is not enrolled (azure-iot-sdk-csharp: ProvisioningE2ETests.cs).
        None => Err(Denial {
            check: "enrollment.none".into(),
            detail: "no individual enrollment has this registration ID; TPMs are enrolled one by one".into(),
            mend: "Create an individual enrollment with the TPM's endorsement key.".into(),
            answer: ServiceError::with(ErrorCode::NotFound, "Registration not found."),
        }),
    }
}

/// What a registration must remember of a proven TPM, with the key it will have at the hub.
pub fn remember(proven: &ProvenIdentity, hub_key: Option<Secret>) -> Option<TpmRegistration> {
    let usher_attestation::Means::Tpm { claim } = proven.means() else { return None };
    Some(TpmRegistration {
        endorsement_key: STANDARD.encode(claim.endorsement_key().to_bytes()),
        storage_root_key: STANDARD.encode(claim.storage_root_key().to_bytes()),
        hub_key: hub_key?,
    })
}

/// The blob by which a TPM takes over its key for the hub; `None` for devices without a TPM.
pub fn hub_blob(registration: &Registration) -> Option<String> {
    let (ProofSummary::Tpm, Some(kept)) = (&registration.proof, &registration.tpm) else { return None };
    let decode = |text: &str| STANDARD.decode(text).ok();
    let keys = TpmKeys { endorsement_key: kept.endorsement_key.clone(), storage_root_key: None };
    let claim = tpm::Claim::check(&decode(&kept.endorsement_key)?, &decode(&kept.storage_root_key)?, &keys).ok()?;
    let hub_key: [u8; 32] = decode(kept.hub_key.expose())?.try_into().ok()?;
    let hub = registration.state.assignment().map(|place| place.hub.as_str()).unwrap_or_default();
    // The blob's text is for show, and bounded.
    let shown: String = hub.chars().take(tpm::URI_BYTES_MAX).collect();
    claim.activation_blob(&hub_key, &shown).ok().map(|blob| STANDARD.encode(blob))
}

fn no_token() -> Denial {
    Denial::unauthorized(
        "tpm.token",
        "the enrollment demands tpm attestation, and the device showed no token signed by the challenge's key",
        "Let the device use its TPM security client over HTTPS or AMQP.",
    )
}

fn no_challenge() -> Denial {
    Denial::unauthorized(
        "tpm.challenge",
        "no challenge to this device counts any more",
        "Let the device begin anew: a challenge counts for a quarter of an hour.",
    )
}

/// What the commit that begins `operation` needs besides, where a TPM's answer to a challenge is what it begins with.
pub async fn answer(registry: &Registry, claim: &Claim, challenge: Option<&Challenge>, operation: &OperationId) -> Result<Vec<Op>, Denial> {
    match challenge {
        None => Ok(Vec::new()),
        Some(challenge) if challenge.answered_by.is_some() => Err(answered()),
        Some(challenge) => Ok(vec![registry.answer_challenge(&claim.claimed_id, challenge, operation).await?]),
    }
}

/// The token has done its work already: it comes again from whoever saw it.
fn answered() -> Denial {
    Denial::unauthorized(
        "tpm.challenge.answered",
        "the token answers a challenge whose answer has begun a registration before",
        "Let the device begin anew, with a new challenge. If it did not send the token twice, somebody else did.",
    )
}

fn not_over_mqtt() -> Denial {
    let answer = ServiceError::with(ErrorCode::BadRequest, "TPM attestation needs HTTPS or AMQP.");
    Denial::open("tpm.transport", answer)
}
