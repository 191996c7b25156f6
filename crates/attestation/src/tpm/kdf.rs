//! The TPM's key derivations and keyed hashes (TPM 2.0 Part 1, "Key Derivation Functions": KDFa is SP 800-108 in counter mode, KDFe is
//! SP 800-56A).

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use super::NameHash;

/// A hash over the parts, joined.
pub(super) fn hash(algorithm: NameHash, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(algorithm.digest());
    parts.iter().for_each(|part| context.update(part));
    context.finish().as_ref().to_vec()
}

/// An HMAC over the parts, joined.
pub(super) fn mac(algorithm: NameHash, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm.hmac(), key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

/// KDFa: `bits / 8` bytes from a key, a label (its terminating NUL is added here) and a context.
pub(super) fn kdfa(algorithm: NameHash, key: &[u8], label: &str, context: &[u8], bits: u16) -> Zeroizing<Vec<u8>> {
    let bits_field = u32::from(bits).to_be_bytes();
    expand(bits, |counter| mac(algorithm, key, &[&counter, label.as_bytes(), &[0], context, &bits_field]))
}

/// KDFe: `bits / 8` bytes from an ECDH secret and the x coordinates of both parties' points.
pub(super) fn kdfe(algorithm: NameHash, z: &[u8], label: &str, party_u: &[u8], party_v: &[u8], bits: u16) -> Zeroizing<Vec<u8>> {
    expand(bits, |counter| hash(algorithm, &[&counter, z, label.as_bytes(), &[0], party_u, party_v]))
}

/// Blocks numbered from one, joined and cut.
fn expand(bits: u16, block: impl Fn([u8; 4]) -> Vec<u8>) -> Zeroizing<Vec<u8>> {
    let wanted = usize::from(bits / 8);
    let mut out = Zeroizing::new(Vec::with_capacity(wanted));
    for counter in 1u32.. {
        if out.len() >= wanted {
            break;
        }
        out.extend_from_slice(&Zeroizing::new(block(counter.to_be_bytes())));
    }
    out.truncate(wanted);
    out
}
