//! Proof by a chain to a CA that is enrolled in a group.

use usher_domain::{
    RegistrationId, Timestamp,
    enrollment::{CertificatePair, StoredCertificate},
    limits::CHAIN_DEPTH_MAX,
};

use super::{
    path::{Signer, nearest_signer},
    presented::{Named, Presented},
};
use crate::{Certificate, Check, Means, ProvenIdentity, Refusal};

/// Proves a device by the chain that it presented (DER, leaf first, the rest in any order) to a CA of one group.
///
/// Each step is checked: the issuer's name, its signature, that it is a CA which may sign certificates and allows this many
/// intermediates, that it and the leaf are valid now, that keys and algorithms are sound. The enrolled CA may be a root or an
/// intermediate; it need not be presented, and it too must be valid: an operator who enrolled a CA with an end wants that end. A CA that
/// is renewed goes in as the secondary.
pub fn prove_group(
    chain: &[Vec<u8>],
    registration_id: &RegistrationId,
    signers: &CertificatePair,
    now: Timestamp,
) -> Result<ProvenIdentity, Refusal> {
    prove_nearest_group(chain, registration_id, &[signers], now).map(|(_, proven)| proven)
}

/// Proves a device by the group whose CA stands nearest to the leaf, and tells that group's place in `groups`. Of several equally near,
/// one whose key identifier the leaf's issuer chain names, then the first in the list.
pub fn prove_nearest_group(
    chain: &[Vec<u8>],
    registration_id: &RegistrationId,
    groups: &[&CertificatePair],
    now: Timestamp,
) -> Result<(usize, ProvenIdentity), Refusal> {
    let presented = Presented::read(chain)?;
    presented.check_leaf(registration_id, now)?;
    let mut signers = Vec::new();
    for (group, pair) in groups.iter().enumerate() {
        read_signers(group, pair, &mut signers)?;
    }
    if signers.is_empty() {
        return Err(Refusal::new(Check::EnrolledCertificate, "No CA is enrolled to chain to."));
    }
    let found = nearest_signer(&presented, &signers, now)?;
    let means = Means::X509 {
        leaf: Box::new(presented.leaf.info().clone()),
        signer: Some(Box::new(found.signer.named.certificate.info().clone())),
        enrolled: None,
        distance: found.distance,
    };
    Ok((found.signer.group, ProvenIdentity::new(registration_id, means)))
}

/// The names (DER) under which an enrolled CA could vouch for this chain, nearest to the leaf first: the leaf's issuer, the issuers of
/// presented certificates of that name, and so on. At most [`CHAIN_DEPTH_MAX`]; none where the chain cannot be read.
///
/// Nothing is verified: use the names to look groups up, and [`prove_nearest_group`] to decide.
pub fn issuer_names(chain: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let Ok(presented) = Presented::read(chain) else {
        return Vec::new();
    };
    let mut names = vec![presented.leaf.issuer_der().to_vec()];
    let mut next = 0;
    while let Some(name) = names.get(next).cloned() {
        next += 1;
        for other in presented.others.iter().filter(|other| other.certificate.subject_der() == name) {
            let issuer = other.certificate.issuer_der();
            if names.len() < CHAIN_DEPTH_MAX && !names.iter().any(|known| known == issuer) {
                names.push(issuer.to_vec());
            }
        }
    }
    names
}

/// The name (DER) under which a group with this CA is to be found by [`issuer_names`].
pub fn signer_index_name(signer: &Certificate) -> &[u8] {
    signer.subject_der()
}

fn read_signers(group: usize, pair: &CertificatePair, signers: &mut Vec<Signer>) -> Result<(), Refusal> {
    for (stored, place) in [(&pair.primary, "the enrolled primary CA"), (&pair.secondary, "the enrolled secondary CA")] {
        if let Some(stored) = stored {
            signers.push(Signer { group, named: read_signer(stored, place)? });
        }
    }
    Ok(())
}

fn read_signer(stored: &StoredCertificate, place: &str) -> Result<Named, Refusal> {
    match Certificate::from_stored(stored) {
        Ok(certificate) => Ok(Named::new(certificate, place)),
        Err(error) => Err(Refusal::new(Check::EnrolledCertificate, format!("Reading {place} failed: {error}."))),
    }
}
