//! A chain to a CA that the caller trusts, with no device and no registration ID in sight: for certificates that vouch for something
//! else, as a TPM maker's does for an endorsement key.

use usher_domain::Timestamp;

use super::{
    path::{Signer, nearest_signer},
    presented::{Named, Presented},
    validity::check_validity,
};
use crate::{Certificate, Refusal};

/// Checks that a path leads from `leaf` over `intermediates` to one of `authorities`, by the rules for a group's chains, and that all
/// on it are valid now.
pub(crate) fn check_chain(
    leaf: &Certificate,
    intermediates: &[Certificate],
    authorities: &[Certificate],
    now: Timestamp,
) -> Result<(), Refusal> {
    let others = intermediates.iter().map(|one| Named::new(one.clone(), "an intermediate")).collect();
    let presented = Presented { leaf: leaf.clone(), others };
    let trusted = |one: &Certificate| Signer { group: 0, named: Named::new(one.clone(), "a trusted authority") };
    let signers: Vec<Signer> = authorities.iter().map(trusted).collect();
    check_validity(leaf, &presented.leaf_label(), now)?;
    nearest_signer(&presented, &signers, now).map(|_| ())
}
