//! What was checked, in sentences that a firmware engineer understands. Describes what was decided elsewhere and decides nothing.

use usher_attestation::{Means, ProvenIdentity, SasToken, findings};
use usher_domain::{Timestamp, attempt::Trail, enrollment::EnrollmentRef};

use crate::{
    claim::Claim,
    denial::Denial,
    prove::{Admitted, Tried},
};

/// Names that a sentence lists before it only counts.
const LISTED_MAX: usize = 8;

/// How the enrollment was looked for, what the device showed, and what came of it. The failed check itself is told by whoever turns the
/// device away.
pub fn proof(trail: &mut Trail, claim: &Claim, tried: &Tried, outcome: Result<&Admitted, &Denial>, now: Timestamp) {
    enrollment(trail, tried, outcome);
    if let Err(denial) = outcome
        && denial.check == "attestation.kind"
    {
        return;
    }
    let token = claim.evidence.sas_token.as_deref().and_then(|text| SasToken::parse(text).ok());
    match (&token, outcome) {
        (Some(token), Ok(admitted)) => proved_by_token(trail, claim, token, &admitted.proven, now),
        (Some(token), Err(denial)) => refused_token(trail, claim, token, denial, now),
        (None, _) => chain(trail, claim, outcome.is_ok(), now),
    }
    if let (None, Ok(admitted)) = (&token, outcome) {
        proved_by_certificate(trail, &admitted.proven);
    }
}

fn enrollment(trail: &mut Trail, tried: &Tried, outcome: Result<&Admitted, &Denial>) {
    let none = "There is no individual enrollment of this registration ID";
    match (tried, outcome.map(|admitted| admitted.enrollment.reference())) {
        (Tried::Individual { kind }, _) => {
            trail
                .passed("enrollment", format!("There is an individual enrollment of this registration ID; it demands {kind} attestation."));
        }
        (_, Ok(EnrollmentRef::Group(group))) => {
            trail.passed("enrollment", format!("{none}; the group '{group}' admits the device."));
        }
        (Tried::Groups { names, what }, _) if !names.is_empty() => {
            trail.passed("enrollment", format!("{none}. Tried the {what}: {}.", listed(names)));
        }
        (Tried::Groups { .. } | Tried::Nothing, _) => trail.passed("enrollment.individual", format!("{none}.")),
    }
}

fn proved_by_token(trail: &mut Trail, claim: &Claim, token: &SasToken, proven: &ProvenIdentity, now: Timestamp) {
    trail.passed("token", findings::token(token, now));
    trail.passed("token.resource", resource(claim));
    match proven.means() {
        Means::SymmetricKey { signed_with, .. } => {
            trail.passed("token.signature", format!("The token's signature matches the {} key.", signed_with.word()));
        }
        Means::Tpm { .. } => {
            trail.passed("tpm.keys", "The endorsement key is the enrolled one.");
            trail.passed("token.signature", "The token was signed with the key of a challenge that only this TPM could open.");
        }
        Means::X509 { .. } => {}
    }
    trail.passed("token.expiry", "The token has not expired.");
}

/// The checks that a token passed before the one that it failed. They are made in this order: form, resource, signature, expiry.
fn refused_token(trail: &mut Trail, claim: &Claim, token: &SasToken, denial: &Denial, now: Timestamp) {
    trail.passed("token", findings::token(token, now));
    let passed = match denial.check.as_str() {
        "TokenSignature" => 1,
        "TokenExpiry" => 2,
        _ => 0,
    };
    if passed >= 1 {
        trail.passed("token.resource", resource(claim));
    }
    if passed >= 2 {
        trail.passed("token.signature", "The token's signature matches a key of the enrollment.");
    }
}

fn resource(claim: &Claim) -> String {
    format!("The token is for this ID scope and registration ID, '{}/registrations/{}'.", claim.id_scope, claim.claimed_id)
}

fn chain(trail: &mut Trail, claim: &Claim, proved: bool, now: Timestamp) {
    for described in findings::chain(&claim.evidence.certificates, now) {
        // Of a chain that was believed, one that is past its time did not matter.
        trail.add("certificate", described.usable || proved, described.text);
    }
}

fn proved_by_certificate(trail: &mut Trail, proven: &ProvenIdentity) {
    let Means::X509 { signer, distance, .. } = proven.means() else { return };
    match signer {
        Some(signer) => {
            let steps = if *distance == 1 { "1 signature".to_owned() } else { format!("{distance} signatures") };
            let subject = signer.subject_name.escape_debug();
            trail.passed("chain", format!("The chain ends, after {steps} that hold, at the enrolled CA '{subject}'."));
        }
        None => trail.passed("thumbprint", "The leaf is the enrolled certificate, by its SHA-256 thumbprint."),
    }
    trail.passed("commonName", "The leaf's common name is the registration ID.");
}

fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("'{name}'")).collect();
    let more = names.len().saturating_sub(first.len());
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}
