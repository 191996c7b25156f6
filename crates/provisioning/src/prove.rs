//! Finding the enrollment that governs a device and proving the device under it.
//!
//! Individual before group; nearest CA in the chain before farther; the first entry found decides, enabled or not
//! (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-x509-attestation.md, "DPS order of operations with certificates").

use usher_attestation::{ProvenIdentity, Refusal, SasToken, symmetric, x509};
use usher_domain::{
    ErrorCode, ServiceError, Timestamp,
    enrollment::{Attestation, CertificatePair, Enrollment, EnrollmentRef, X509Attestation},
    registration::Registration,
};
use usher_registry::{Challenge, Registry};

use crate::{claim::Claim, denial::Denial, story::Story, tell, tpm};

/// A device that proved itself, and the enrollment that it did so under.
pub struct Admitted {
    /// Who it is.
    pub proven: ProvenIdentity,
    /// What governs it. May be disabled: that is for the caller to judge.
    pub enrollment: Enrollment,
    /// The challenge that a TPM answered.
    pub challenge: Option<Challenge>,
}

/// Where an enrollment was looked for.
#[derive(Default)]
pub enum Tried {
    /// There was nothing to look for groups with.
    #[default]
    Nothing,
    /// The device has an individual enrollment, which demands this kind of attestation.
    Individual {
        /// `symmetricKey`, `x509` or `tpm`.
        kind: &'static str,
    },
    /// Groups that did not admit the device.
    Groups {
        /// Their IDs.
        names: Vec<String>,
        /// What sort of groups they are.
        what: &'static str,
    },
}

/// Proves the device behind `claim`, and tells its story of what was checked. `known` is its registration from an earlier time, which
/// tells the group to try first, and the operation that a TPM's token may still ask for.
pub async fn prove(
    registry: &Registry,
    claim: &Claim,
    known: Option<&Registration>,
    now: Timestamp,
    story: &mut Story,
) -> Result<Admitted, Denial> {
    let mut tried = Tried::default();
    let outcome = find_and_prove(registry, claim, known, now, &mut tried).await;
    story.known |= known.is_some() || outcome.is_ok() || matches!(tried, Tried::Individual { .. });
    tell::proof(&mut story.trail, claim, &tried, outcome.as_ref(), now);
    outcome
}

async fn find_and_prove(
    registry: &Registry,
    claim: &Claim,
    known: Option<&Registration>,
    now: Timestamp,
    tried: &mut Tried,
) -> Result<Admitted, Denial> {
    if let Some(enrollment) = registry.individual(&claim.claimed_id).await? {
        *tried = Tried::Individual { kind: enrollment.value.attestation.kind() };
        let (proven, challenge) = match &enrollment.value.attestation {
            Attestation::Tpm(keys) => {
                let latest = known.map(|known| known.state.operation_id());
                let (proven, challenge) = tpm::prove(registry, claim, keys, latest, now).await?;
                (proven, Some(challenge))
            }
            _ => (prove_individual(registry, &enrollment.value, claim, now).await?, None),
        };
        return Ok(Admitted { proven, enrollment: enrollment.value, challenge });
    }
    match &claim.evidence.sas_token {
        Some(token) => prove_by_group_key(registry, claim, &read_token(token)?, known, now, tried).await,
        None if claim.evidence.certificates.is_empty() => Err(nothing_shown()),
        None => prove_by_chain(registry, claim, now, tried).await,
    }
}

async fn prove_individual(registry: &Registry, enrollment: &Enrollment, claim: &Claim, now: Timestamp) -> Result<ProvenIdentity, Denial> {
    let evidence = &claim.evidence;
    match &enrollment.attestation {
        Attestation::SymmetricKey(keys) => {
            let token = evidence.sas_token.as_deref().ok_or_else(|| other_kind("a SAS token", "symmetricKey"))?;
            Ok(symmetric::prove_individual(&read_token(token)?, &claim.id_scope, &claim.claimed_id, keys, now)?)
        }
        Attestation::X509(attestation) => {
            if evidence.certificates.is_empty() {
                return Err(other_kind("a client certificate", "x509"));
            }
            match &**attestation {
                X509Attestation::Client(pair) => Ok(x509::prove_individual(&evidence.certificates, &claim.claimed_id, pair, now)?),
                X509Attestation::Signing(pair) => Ok(x509::prove_group(&evidence.certificates, &claim.claimed_id, pair, now)?),
                X509Attestation::CaReferences(names) => {
                    let pair = registry.resolve(names).await?;
                    if pair.iter().next().is_none() {
                        return Err(unresolved_reference());
                    }
                    Ok(x509::prove_group(&evidence.certificates, &claim.claimed_id, &pair, now)?)
                }
            }
        }
        Attestation::Tpm(_) => Err(other_kind("an answer to a TPM challenge", "tpm")),
    }
}

async fn prove_by_chain(registry: &Registry, claim: &Claim, now: Timestamp, tried: &mut Tried) -> Result<Admitted, Denial> {
    let chain = &claim.evidence.certificates;
    let mut candidates: Vec<(Enrollment, CertificatePair)> = Vec::new();
    for issuer in x509::issuer_names(chain) {
        let mut groups = registry.groups_signed_by(&issuer).await?;
        groups.extend(registry.groups_referring_to(&issuer).await?);
        for enrollment in groups {
            let known = candidates.iter().any(|(known, _)| known.subject == enrollment.subject);
            if let (false, Some(pair)) = (known, signers(registry, &enrollment).await?) {
                candidates.push((enrollment, pair));
            }
        }
    }
    if candidates.is_empty() {
        return Err(unknown_ca());
    }
    let names = candidates.iter().filter_map(|(group, _)| group_name(group)).collect();
    *tried = Tried::Groups { names, what: "groups whose CA the chain names" };
    let pairs: Vec<&CertificatePair> = candidates.iter().map(|(_, pair)| pair).collect();
    // Nearest by signatures, not by name: made-up certificates could bring a far name forward, around a disabled nearer group.
    let (nearest, proven) = x509::prove_nearest_group(chain, &claim.claimed_id, &pairs, now)?;
    Ok(Admitted { proven, enrollment: candidates.swap_remove(nearest).0, challenge: None })
}

/// The CA certificates that a group is enrolled with, or refers to, as they stand now.
async fn signers(registry: &Registry, enrollment: &Enrollment) -> Result<Option<CertificatePair>, Denial> {
    let Attestation::X509(attestation) = &enrollment.attestation else { return Ok(None) };
    match &**attestation {
        X509Attestation::Client(_) => Ok(None),
        X509Attestation::Signing(pair) => Ok(Some(pair.clone())),
        X509Attestation::CaReferences(names) => Ok(Some(registry.resolve(names).await?)),
    }
}

async fn prove_by_group_key(
    registry: &Registry,
    claim: &Claim,
    token: &SasToken,
    known: Option<&Registration>,
    now: Timestamp,
    tried: &mut Tried,
) -> Result<Admitted, Denial> {
    let mut names = Vec::new();
    let mut closest: Option<Refusal> = None;
    let mut attempt = |enrollment: Enrollment| {
        let Attestation::SymmetricKey(keys) = &enrollment.attestation else { return None };
        match symmetric::prove_group(token, &claim.id_scope, &claim.claimed_id, keys, now) {
            Ok(proven) => Some(Admitted { proven, enrollment, challenge: None }),
            Err(refusal) => {
                names.extend(group_name(&enrollment));
                closest.get_or_insert(refusal);
                None
            }
        }
    };
    // The group that admitted the device last time will most likely do so again: it saves trying all the others.
    if let Some(EnrollmentRef::Group(group)) = known.map(|known| &known.enrollment)
        && let Some(enrollment) = registry.group(group).await?
        && let Some(admitted) = attempt(enrollment.value)
    {
        return Ok(admitted);
    }
    for enrollment in registry.symmetric_key_groups().await? {
        if let Some(admitted) = attempt(enrollment) {
            return Ok(admitted);
        }
    }
    *tried = Tried::Groups { names, what: "symmetric key groups" };
    Err(closest.map_or_else(|| no_enrollment("there is no symmetric key group"), Denial::from))
}

fn group_name(enrollment: &Enrollment) -> Option<String> {
    match enrollment.reference() {
        EnrollmentRef::Group(id) => Some(id.to_string()),
        EnrollmentRef::Individual => None,
    }
}

fn read_token(text: &str) -> Result<SasToken, Denial> {
    SasToken::parse(text).map_err(|error| Denial::from(Refusal::from(error)))
}

fn unknown_ca() -> Denial {
    let mut denial = no_enrollment("no group is enrolled with a CA that issued any certificate of the presented chain");
    denial.answer = ServiceError::with(ErrorCode::InvalidCertificate, "CA certificate not found.");
    denial
}

fn no_enrollment(detail: &str) -> Denial {
    Denial::unauthorized(
        "enrollment.none",
        format!("no individual enrollment has this registration ID, and {detail}"),
        "Create an individual enrollment for the device, or a group with its CA certificate or group key.",
    )
}

fn nothing_shown() -> Denial {
    Denial::unauthorized(
        "evidence.none",
        "the device showed neither a client certificate nor a SAS token",
        "Configure the device's security provider: its certificate and key must reach TLS, or its key must sign a SAS token.",
    )
}

fn other_kind(missing: &str, kind: &str) -> Denial {
    Denial::unauthorized(
        "attestation.kind",
        format!("the enrollment demands {kind} attestation, and the device did not show {missing}"),
        format!("Let the device show {missing}, or change the enrollment's attestation."),
    )
}

fn unresolved_reference() -> Denial {
    Denial::unauthorized(
        "attestation.caReference",
        "no uploaded CA certificate that the enrollment names is verified",
        "Verify the certificate by the management API, or enroll with another.",
    )
}
