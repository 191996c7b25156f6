//! TPM makers' certificates for endorsement keys, with intermediates and authorities: as DER, and as the texts that operators send.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::{
    Certificate,
    tpm::{StorageKey, check_ek_certificate},
};
use usher_domain::Timestamp;

const KEY: &[u8] = include_bytes!("../../crates/attestation/tests/data/ek_rsa2048.pub");
const ROOT: &[u8] = include_bytes!("../../crates/attestation/tests/data/root.der");

fuzz_target!(|bytes: &[u8]| {
    let now = Timestamp::from_secs(1_780_272_000);
    let key = StorageKey::parse(KEY).expect("a TPM's key");
    let root = Certificate::from_der(ROOT).expect("a certificate").stored().der;
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let text = certificate.stored().der;
        assert!(check_ek_certificate(&text, &root, &key, now).is_err(), "no certificate of this root's vouches for this key");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (certificate, authorities) = text.split_once('\0').unwrap_or((text, &root));
        let _ = check_ek_certificate(certificate, authorities, &key, now);
    }
});
