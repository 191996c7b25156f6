//! TPM public areas, and activation blobs for those that are sound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::tpm::{Claim, StorageKey, registration_id};
use usher_domain::enrollment::TpmKeys;

fuzz_target!(|bytes: &[u8]| {
    let Ok(key) = StorageKey::parse(bytes) else { return };
    assert_eq!(StorageKey::parse(&key.to_bytes()).ok().map(|again| again.name()), Some(key.name()));
    assert!(usher_domain::RegistrationId::parse(&registration_id(&key)).is_ok());
    let enrolled = TpmKeys { endorsement_key: String::new(), storage_root_key: None };
    assert!(Claim::check(bytes, bytes, &enrolled).is_err(), "a key that is not enrolled was taken");
});
