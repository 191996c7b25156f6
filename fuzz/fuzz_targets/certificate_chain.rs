//! Presented chains: issuer names, and proof against an enrolled CA.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_attestation::{Certificate, x509};
use usher_domain::{RegistrationId, Timestamp, enrollment::CertificatePair};

fuzz_target!(|chain: Vec<Vec<u8>>| {
    let now = Timestamp::from_secs(1_800_000_000);
    let Ok(id) = RegistrationId::parse("device") else { return };
    let _ = x509::issuer_names(&chain);
    let signer = chain.last().and_then(|der| Certificate::from_der(der).ok()).map(|certificate| certificate.stored());
    let pair = CertificatePair { primary: signer, secondary: None };
    let _ = x509::prove_group(&chain, &id, &pair, now);
    let _ = x509::prove_individual(&chain, &id, &pair, now);
});
