//! Proof of possession: which certificates show that a CA's key is held.
#![allow(clippy::unwrap_used)]

mod pki;

use pki::{Ca, now, subject};
use rcgen::IsCa;
use usher_attestation::{Certificate, Check, x509::prove_possession};

const CODE: &str = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";

fn judge(ca: &Ca, proof: &[u8]) -> Result<(), Check> {
    let proof = Certificate::from_der(proof).unwrap();
    prove_possession(&ca.certificate(), &proof, CODE, now()).map_err(|refusal| refusal.check)
}

#[test]
fn a_certificate_for_the_code_signed_by_the_ca_shows_that_its_key_is_held() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let sub = root.sub("site");
    assert_eq!(judge(&root, &root.leaf(CODE)), Ok(()));
    assert_eq!(judge(&root, &root.leaf(&CODE.to_ascii_lowercase())), Ok(()));
    assert_eq!(judge(&sub, &sub.leaf(CODE)), Ok(()), "an intermediate can be uploaded too");
    assert_eq!(judge(&root, &other.leaf(CODE)), Err(Check::IssuerMissing));
    assert_eq!(judge(&root, &sub.leaf(CODE)), Err(Check::IssuerMissing));
}

#[test]
fn another_key_of_the_same_name_another_code_and_old_proofs_do_not() {
    let root = Ca::root("root");
    assert_eq!(judge(&root, &Ca::root("root").leaf(CODE)), Err(Check::IssuerSignature));
    assert_eq!(judge(&root, &root.leaf("another code")), Err(Check::CommonName));
    let mut expired = subject(CODE);
    expired.not_after = rcgen::date_time_ymd(2026, 1, 1);
    assert_eq!(judge(&root, &root.leaf_of(&expired)), Err(Check::Expired));
}

#[test]
fn a_certificate_that_is_no_ca_cannot_be_verified() {
    let mut params = pki::ca_subject("leaf");
    params.is_ca = IsCa::NoCa;
    let not_ca = Ca::root_of(params, pki::key());
    assert_eq!(judge(&not_ca, &not_ca.leaf(CODE)), Err(Check::NotCa));
}
