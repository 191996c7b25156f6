//! Certificates as operators and devices send them: PEM, base64, DER.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::Certificate;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let again = Certificate::from_stored(&certificate.stored()).expect("what was stored is read");
        assert_eq!(again.info(), certificate.info());
        let _ = (certificate.is_signed_by(&certificate), certificate.common_name(), certificate.is_ca());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Certificate::from_text(text);
    }
});
