//! The certificates in what an EST server sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_issuance_est::pkcs7;

fuzz_target!(|bytes: &[u8]| {
    for certificate in pkcs7::certificates(bytes).unwrap_or_default() {
        assert!(!certificate.is_empty() && bytes.windows(certificate.len()).any(|part| part == certificate));
    }
});
