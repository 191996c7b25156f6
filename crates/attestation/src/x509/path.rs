//! The search for a path from the leaf to an enrolled CA.
//!
//! Breadth first, each presented certificate entered at most once, so that the shortest path is found, whatever the order the
//! certificates came in and whatever else came with them, and the work is bounded however they are made up. Enrolled certificates need
//! not be presented.

use std::collections::VecDeque;

use usher_domain::{Timestamp, limits::CHAIN_DEPTH_MAX};

use super::{
    issuer::{check_constraints, check_signature},
    presented::{Named, Presented},
};
use crate::{Check, Refusal};

/// Signatures checked in one proof, besides one for each enrolled CA. An honest chain needs one per certificate, more only where CAs have
/// the same name: enrolled ones may, any number of them, and do not use this up; presented ones do so after a roll-over, two or three.
/// A verification costs up to half a millisecond (RSA-8192), so that a hostile chain costs at most some 15 ms beyond an honest one's.
pub const SIGNATURE_CHECKS_MAX: usize = 32;

/// An enrolled CA and the place of its group in the caller's list.
pub(super) struct Signer {
    pub group: usize,
    pub named: Named,
}

/// Where the search ended well.
pub(super) struct Found<'a> {
    pub signer: &'a Signer,
    /// Certificates from the leaf to the signer: 1 where it issued the leaf.
    pub distance: usize,
}

/// A certificate reached from the leaf by valid steps.
struct Reached<'a> {
    named: &'a Named,
    distance: usize,
    /// Intermediates from here down that count for a path length above.
    below: u32,
}

struct Search<'a> {
    presented: &'a [Named],
    signers: &'a [Signer],
    now: Timestamp,
    entered: Vec<bool>,
    checks_left: usize,
    /// The failure farthest from the leaf: the one that stood in the way longest.
    failure: Option<(usize, Refusal)>,
}

/// The enrolled CA nearest to the leaf, or the failure that says best why there is none.
pub(super) fn nearest_signer<'a>(presented: &Presented, signers: &'a [Signer], now: Timestamp) -> Result<Found<'a>, Refusal> {
    let leaf = Named { certificate: presented.leaf.clone(), label: presented.leaf_label() };
    if let Some(extension) = &leaf.certificate.facts().refused_extension {
        return Err(Refusal::new(Check::Extension, format!("In {}: extension {extension}.", leaf.label)));
    }
    let mut search = Search {
        presented: &presented.others,
        signers,
        now,
        entered: vec![false; presented.others.len()],
        checks_left: SIGNATURE_CHECKS_MAX.saturating_add(signers.len()),
        failure: None,
    };
    let mut queue = VecDeque::from([Reached { named: &leaf, distance: 0, below: 0 }]);
    while let Some(reached) = queue.pop_front() {
        if let Some((signer, distance)) = search.step(&reached, &mut queue)? {
            let signer = signers.get(signer).ok_or_else(|| no_path(&leaf))?;
            return Ok(Found { signer, distance });
        }
    }
    Err(search.failure.map_or_else(|| no_path(&leaf), |(_, refusal)| refusal))
}

impl<'a> Search<'a> {
    /// Tries every issuer of `reached`: enrolled ones end the search, presented ones go into the queue.
    fn step(&mut self, reached: &Reached<'_>, queue: &mut VecDeque<Reached<'a>>) -> Result<Option<(usize, usize)>, Refusal> {
        let distance = reached.distance.saturating_add(1);
        if distance >= CHAIN_DEPTH_MAX {
            self.fail(distance, Refusal::new(Check::ChainLength, format!("The path is longer than {CHAIN_DEPTH_MAX} certificates.")));
            return Ok(None);
        }
        let signers = self.signers_in_name(reached.named);
        let mut named_issuer = !signers.is_empty();
        for (index, signer) in signers {
            if self.passes(&signer.named, reached, distance)? {
                return Ok(Some((index, distance)));
            }
        }
        for (index, issuer) in self.presented.iter().enumerate() {
            let entered = self.entered.get(index).copied().unwrap_or(true);
            if entered || !issued_in_name(issuer, reached.named) {
                continue;
            }
            named_issuer = true;
            if self.passes(issuer, reached, distance)? {
                self.entered.iter_mut().skip(index).take(1).for_each(|entered| *entered = true);
                let counts = u32::from(!issuer.certificate.is_self_issued());
                queue.push_back(Reached { named: issuer, distance, below: reached.below.saturating_add(counts) });
            }
        }
        if !named_issuer {
            self.fail(distance, no_issuer(reached.named));
        }
        Ok(None)
    }

    /// The enrolled CAs of the name that issued `child`, those first whose key identifier is the one that `child` names. The identifiers
    /// are hints that save checks where many groups have CAs of one name; they decide nothing.
    fn signers_in_name(&self, child: &Named) -> Vec<(usize, &'a Signer)> {
        let mut named: Vec<(usize, &Signer)> =
            self.signers.iter().enumerate().filter(|(_, signer)| issued_in_name(&signer.named, child)).collect();
        named.sort_by_key(|(_, signer)| key_distance(&signer.named, child));
        named
    }

    /// Whether `issuer` issued what was reached; notes the failure where not. An error ends the search.
    fn passes(&mut self, issuer: &Named, reached: &Reached<'_>, distance: usize) -> Result<bool, Refusal> {
        let mut outcome = check_constraints(issuer, reached.named, reached.below, self.now);
        if outcome.is_ok() {
            self.checks_left = self.checks_left.checked_sub(1).ok_or_else(too_much_effort)?;
            outcome = check_signature(issuer, reached.named);
        }
        match outcome {
            Ok(()) => Ok(true),
            Err(refusal) => {
                self.fail(distance, refusal);
                Ok(false)
            }
        }
    }

    fn fail(&mut self, distance: usize, refusal: Refusal) {
        if self.failure.as_ref().is_none_or(|(farthest, _)| distance > *farthest) {
            self.failure = Some((distance, refusal));
        }
    }
}

fn issued_in_name(issuer: &Named, child: &Named) -> bool {
    issuer.certificate.subject_der() == child.certificate.issuer_der()
}

/// 0 where the key identifiers agree, 1 where one of them is missing, 2 where they differ.
fn key_distance(issuer: &Named, child: &Named) -> u8 {
    match (&issuer.certificate.facts().key_id, &child.certificate.facts().issuer_key_id) {
        (Some(own), Some(named)) if own == named => 0,
        (Some(_), Some(_)) => 2,
        _ => 1,
    }
}

fn no_issuer(reached: &Named) -> Refusal {
    let issuer = reached.certificate.info().issuer_name.escape_debug();
    let label = &reached.label;
    if reached.certificate.is_self_issued() {
        return Refusal::new(Check::UnknownRoot, format!("The chain ends in {label}, which issued itself and is not enrolled."));
    }
    Refusal::new(Check::IssuerMissing, format!("No certificate of '{issuer}', which issued {label}, is presented or enrolled."))
}

fn no_path(leaf: &Named) -> Refusal {
    Refusal::new(Check::IssuerMissing, format!("No path leads from {} to an enrolled CA.", leaf.label))
}

fn too_much_effort() -> Refusal {
    Refusal::new(
        Check::ChainEffort,
        format!("No path was found within {SIGNATURE_CHECKS_MAX} signature checks and one for each enrolled CA."),
    )
}
