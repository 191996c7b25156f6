//! XAES-256-GCM: AES-256-GCM with a 24-byte nonce (C2SP specification `XAES-256-GCM`).
//!
//! Each nonce's first half derives a key of its own (NIST SP 800-108r1, CMAC in counter mode), so that random nonces stay safe for
//! far more messages than the 2^32 that NIST SP 800-38D allows under one plain GCM key. Built from AWS-LC's AES and GCM.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    cipher::{AES_256, EncryptingKey, UnboundCipherKey},
    rand,
};
use zeroize::Zeroizing;

use crate::{SealError, SecretBytes};

/// Nonce, in bytes.
pub const NONCE_BYTES: usize = 24;
/// Tag, in bytes.
pub const TAG_BYTES: usize = 16;
const BLOCK: usize = 16;
/// Key derivation's part of the nonce.
const HEAD: usize = NONCE_BYTES - NONCE_LEN;

/// Encrypts in place under a fresh random nonce, appends the tag, and returns the nonce.
pub fn seal(key: &SecretBytes, aad: &[u8], text: &mut Vec<u8>) -> Result<[u8; NONCE_BYTES], SealError> {
    let mut nonce = [0; NONCE_BYTES];
    rand::fill(&mut nonce).map_err(|_| SealError::Module)?;
    seal_with(key, &nonce, aad, text)?;
    Ok(nonce)
}

fn seal_with(key: &SecretBytes, nonce: &[u8; NONCE_BYTES], aad: &[u8], text: &mut Vec<u8>) -> Result<(), SealError> {
    let (derived, rest) = derive(key, nonce)?;
    derived.seal_in_place_append_tag(rest, Aad::from(aad), text).map_err(|_| SealError::Module)
}

/// Verifies and decrypts.
pub fn open(key: &SecretBytes, nonce: &[u8; NONCE_BYTES], aad: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, SealError> {
    let (derived, rest) = derive(key, nonce)?;
    let length = derived.open_in_place(rest, Aad::from(aad), &mut text).map_err(|_| SealError::NotAuthentic)?.len();
    text.truncate(length);
    Ok(text)
}

/// The nonce's own key, and the 12 bytes left of it for GCM.
fn derive(key: &SecretBytes, nonce: &[u8; NONCE_BYTES]) -> Result<(LessSafeKey, Nonce), SealError> {
    let (head, rest) = nonce.split_at(HEAD);
    let cipher = UnboundCipherKey::new(&AES_256, key.expose()).and_then(EncryptingKey::ecb).map_err(|_| SealError::Module)?;
    let mut l = Zeroizing::new([0_u8; BLOCK]);
    cipher.encrypt(l.as_mut_slice()).map_err(|_| SealError::Module)?;
    let k1 = double(&l);
    let mut blocks = Zeroizing::new([0_u8; 2 * BLOCK]);
    for (counter, block) in (1_u8..).zip(blocks.chunks_mut(BLOCK)) {
        let input = [0, counter, b'X', 0].into_iter().chain(head.iter().copied());
        for ((out, byte), mask) in block.iter_mut().zip(input).zip(k1.iter()) {
            *out = byte ^ mask;
        }
    }
    cipher.encrypt(blocks.as_mut_slice()).map_err(|_| SealError::Module)?;
    let derived = UnboundKey::new(&AES_256_GCM, blocks.as_slice()).map_err(|_| SealError::Module)?;
    let rest = Nonce::try_assume_unique_for_key(rest).map_err(|_| SealError::Module)?;
    Ok((LessSafeKey::new(derived), rest))
}

/// Doubling in GF(2^128) (NIST SP 800-38B section 6.1).
fn double(l: &[u8; BLOCK]) -> Zeroizing<[u8; BLOCK]> {
    let shifted = u128::from_be_bytes(*l) << 1;
    let carry = if l[0] & 0x80 == 0 { 0 } else { 0x87 };
    Zeroizing::new((shifted ^ carry).to_be_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vector(byte: u8, aad: &[u8]) -> Vec<u8> {
        let key = SecretBytes::from_slice(&[byte; 32]).unwrap();
        let nonce: [u8; NONCE_BYTES] = *b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let mut text = b"XAES-256-GCM".to_vec();
        seal_with(&key, &nonce, aad, &mut text).unwrap();
        assert_eq!(open(&key, &nonce, aad, text.clone()).unwrap(), b"XAES-256-GCM");
        text
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The two vectors of the C2SP specification: with the carry of the doubling and without it.
    #[test]
    fn the_published_vectors_come_out() {
        assert_eq!(hex(&vector(0x01, b"")), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
        assert_eq!(hex(&vector(0x03, b"c2sp.org/XAES-256-GCM")), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
    }

    /// What one data key has to bear at the very most: 10^10 records, each with a fresh random nonce. The bound is NIST's for random IVs
    /// (SP 800-38D section 8.3): the chance that any nonce repeats stays below 2^-32.
    #[test]
    fn ten_thousand_million_writes_come_near_no_bound() {
        const WRITES: f64 = 1e10;
        let chance_of_a_repeat = |bits: i32| WRITES * WRITES / 2.0 / 2.0_f64.powi(bits);
        let whole = chance_of_a_repeat(8 * NONCE_BYTES as i32);
        assert!(whole < 2.0_f64.powi(-32) && whole < 1e-37, "{whole:e}");
        // Even that two records share a derived key, which alone would be harmless, is not to be expected.
        let derived = chance_of_a_repeat(8 * HEAD as i32);
        assert!(derived < 1e-8, "{derived:e}");
        // Plain GCM under one key would be past its bound.
        assert!(chance_of_a_repeat(8 * NONCE_LEN as i32) > 2.0_f64.powi(-32));
    }

    #[test]
    fn each_nonce_is_new_in_both_halves() {
        let key = SecretBytes::generate().unwrap();
        let nonces: Vec<_> = (0..1000).map(|_| seal(&key, b"", &mut Vec::new()).unwrap()).collect();
        for half in [0..HEAD, HEAD..NONCE_BYTES] {
            let distinct: std::collections::HashSet<_> = nonces.iter().map(|nonce| nonce[half.clone()].to_vec()).collect();
            assert_eq!(distinct.len(), nonces.len(), "{half:?}");
        }
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        let key = SecretBytes::generate().unwrap();
        let mut sealed = b"a record".to_vec();
        let nonce = seal(&key, b"place", &mut sealed).unwrap();
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(open(&key, &nonce, b"place", bent), Err(SealError::NotAuthentic));
        }
        assert_eq!(open(&key, &nonce, b"elsewhere", sealed), Err(SealError::NotAuthentic));
    }
}
