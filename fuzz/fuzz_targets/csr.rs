//! Signing requests as devices send them: base64, DER.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::SigningRequest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(request) = SigningRequest::from_der(bytes) {
        assert_eq!(request.der(), bytes);
        assert!(!request.public_key().is_empty() && request.sha256().len() == 64);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = SigningRequest::from_base64(text);
    }
});
