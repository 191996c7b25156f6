//! SAS tokens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::SasToken;
use usher_domain::Timestamp;

fuzz_target!(|text: &str| {
    if let Ok(token) = SasToken::parse(text) {
        assert!(token.verify(&[7; 32], Timestamp::from_secs(1_800_000_000)).is_err(), "a token was forged");
        let _ = (token.covers("host/a/b"), token.is_for("scope/registrations/d"), token.key_name(), token.expiry_s());
    }
});
