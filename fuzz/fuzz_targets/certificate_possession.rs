//! Certificates by which an operator shows that a CA's key is at hand: bytes and texts of any kind, and a real certificate with bytes
//! changed at places that the input names (two bytes a place, one to put there).
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::{Certificate, x509::prove_possession};
use usher_domain::Timestamp;

const ROOT: &[u8] = include_bytes!("../../crates/attestation/tests/data/root.der");
const LEAF: &[u8] = include_bytes!("../../crates/attestation/tests/data/line.der");

fn check(proof: &Certificate) {
    let root = Certificate::from_der(ROOT).expect("a certificate");
    for authority in [&root, proof] {
        let proved = prove_possession(authority, proof, "0123456789ABCDEF", Timestamp::from_secs(1_780_272_000));
        // Only one who made a CA of their own could be right, about that CA alone.
        assert!(proved.is_err() || authority.der() != root.der(), "nobody has signed this code with the root's key");
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(proof) = Certificate::from_der(bytes) {
        check(&proof);
    }
    if let Some(proof) = std::str::from_utf8(bytes).ok().and_then(|text| Certificate::from_text(text).ok()) {
        check(&proof);
    }
    let mut leaf = LEAF.to_vec();
    for change in bytes.chunks_exact(3) {
        let &[high, low, byte] = change else { continue };
        let place = usize::from(u16::from_be_bytes([high, low])) % leaf.len();
        leaf[place] = byte;
    }
    if let Ok(proof) = Certificate::from_der(&leaf) {
        check(&proof);
    }
});
