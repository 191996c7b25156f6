//! Endorsement key certificates as a real maker's tools write them into a TPM: swtpm_setup with a CA of its own makes the TPM, tpm2-tools
//! read the certificate and the key out of it.
#![allow(clippy::unwrap_used)]

mod pki;
mod swtpm;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use swtpm::maker::{Certified, Made};
use usher_attestation::{
    Check,
    tpm::{EkCertificateError, StorageKey, check_ek_certificate},
};
use usher_domain::Timestamp;

/// The year 2100: what is made during the test starts when the test runs and has no end.
const LATER: Timestamp = Timestamp::from_secs(4_102_444_800);

fn check(made: &Made, certified: &Certified, intermediates: &str, key: &[u8]) -> Result<(), EkCertificateError> {
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&certified.certificate));
    check_ek_certificate(&format!("{pem}{intermediates}"), &made.root, &StorageKey::parse(key).unwrap(), LATER)
}

#[test]
fn the_makers_certificates_vouch_for_the_keys_in_the_tpm_and_for_no_others() {
    let made = Made::make("made");
    let (rsa, ecc) = (made.rsa(), made.ecc());
    for certified in [&rsa, &ecc] {
        assert_eq!(check(&made, certified, &made.issuer, &certified.public), Ok(()));
    }
    assert_eq!(check(&made, &rsa, &made.issuer, &ecc.public), Err(EkCertificateError::OtherKey));
    assert_eq!(check(&made, &ecc, &made.issuer, &rsa.public), Err(EkCertificateError::OtherKey));
    let other = Made::make("made-too");
    assert_eq!(check(&made, &rsa, &made.issuer, &other.rsa().public), Err(EkCertificateError::OtherKey));
    let Err(EkCertificateError::Chain(refusal)) = check(&made, &rsa, "", &rsa.public) else { panic!("the issuer is missing") };
    assert_eq!(refusal.check, Check::IssuerMissing);
    // Another maker's CAs have the same names here, and other keys.
    let Err(EkCertificateError::Chain(refusal)) = check(&other, &rsa, &made.issuer, &rsa.public) else { panic!("another maker's root") };
    assert_eq!(refusal.check, Check::IssuerSignature);
}

#[test]
fn the_issuer_alone_may_be_trusted_and_base64_of_der_then_suffices() {
    let made = Made::make("issuer");
    let rsa = made.rsa();
    let key = StorageKey::parse(&rsa.public).unwrap();
    assert_eq!(check_ek_certificate(&STANDARD.encode(&rsa.certificate), &made.issuer, &key, LATER), Ok(()));
}
