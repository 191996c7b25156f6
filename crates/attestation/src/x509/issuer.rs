//! Whether one certificate may and did issue another (RFC 5280 section 6.1.3 and 6.1.4, without policies and name constraints: an
//! issuer that makes those critical is refused).

use usher_domain::Timestamp;

use super::{
    presented::{Named, RSA_BITS_MIN},
    validity::check_validity,
};
use crate::{
    Check, Refusal,
    certificate::{KeyKind, SignatureKind},
};

/// Everything but the signature, cheap checks all: the issuer is a CA for this place, valid now, with a sound key, and the child's
/// signature is of an accepted kind. `below` counts the intermediates between the issuer and the leaf, those not counted that a CA
/// issued to itself.
pub(super) fn check_constraints(issuer: &Named, child: &Named, below: u32, now: Timestamp) -> Result<(), Refusal> {
    let (facts, label) = (issuer.certificate.facts(), issuer.label.as_str());
    let refuse = |check, detail: String| Err(Refusal::new(check, detail));
    if let Some(extension) = &facts.refused_extension {
        return refuse(Check::Extension, format!("In {label}: extension {extension}."));
    }
    if !facts.ca {
        return refuse(Check::NotCa, format!("As issuer of {}, {label} is not marked as a CA.", child.label));
    }
    if !facts.may_sign_certificates {
        return refuse(Check::KeyUsage, format!("The keyUsage of {label} lacks keyCertSign."));
    }
    if let Some(allowed) = facts.path_length.filter(|allowed| *allowed < below) {
        return refuse(Check::PathLength, format!("Of {label} the path length is {allowed}, but {below} intermediates stand below it."));
    }
    check_issuer_key(&facts.key, label)?;
    check_validity(&issuer.certificate, label, now)?;
    check_signature_kind(child)
}

/// The signature itself.
pub(super) fn check_signature(issuer: &Named, child: &Named) -> Result<(), Refusal> {
    if child.certificate.is_signed_by(&issuer.certificate) {
        return Ok(());
    }
    let detail = format!("The name matches, but the key of {} did not sign {}.", issuer.label, child.label);
    Err(Refusal::new(Check::IssuerSignature, detail))
}

fn check_issuer_key(key: &KeyKind, label: &str) -> Result<(), Refusal> {
    let found = match key {
        KeyKind::Rsa(bits) if *bits < RSA_BITS_MIN => format!("The RSA key of {label} has {bits} bits."),
        KeyKind::Other(oid) => format!("The key of {label} is of a kind that is not accepted ({oid})."),
        KeyKind::Rsa(_) | KeyKind::P256 | KeyKind::P384 | KeyKind::Ed25519 => return Ok(()),
    };
    Err(Refusal::new(Check::KeyStrength, found))
}

fn check_signature_kind(child: &Named) -> Result<(), Refusal> {
    let label = &child.label;
    let found = match &child.certificate.facts().signature {
        SignatureKind::Accepted => return Ok(()),
        SignatureKind::WeakHash => format!("The signature on {label} is over SHA-1 or an older hash."),
        SignatureKind::Ambiguous => format!("Of {label}, the two statements of the signature algorithm differ."),
        SignatureKind::Other(oid) => format!("The signature on {label} is of a kind that is not accepted ({oid})."),
    };
    Err(Refusal::new(Check::SignatureAlgorithm, found))
}
