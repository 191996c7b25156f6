//! Individual X.509 enrollments: the pinned certificate and no other.
#![allow(clippy::unwrap_used)]

mod pki;

use pki::{Ca, enrolled, now, openssl, subject};
use usher_attestation::{CLOCK_SKEW_S, Certificate, Check, Refusal, x509::prove_individual};
use usher_domain::{RegistrationId, Timestamp, enrollment::CertificatePair, hub_device::DeviceCredential, registration::ProofSummary};

fn device(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

fn refused(leaf: &[u8], id: &str, pair: &CertificatePair, at: Timestamp) -> Refusal {
    prove_individual(&[leaf.to_vec()], &device(id), pair, at).unwrap_err()
}

#[test]
fn the_enrolled_certificate_is_believed_without_a_chain() {
    let leaf = Ca::root("some CA").leaf("dev-1");
    let proven = prove_individual(std::slice::from_ref(&leaf), &device("dev-1"), &enrolled(&leaf), now()).unwrap();
    let info = Certificate::from_der(&leaf).unwrap().info().clone();
    assert_eq!(proven.summary(), ProofSummary::X509 { leaf: Box::new(info), signer: None });
}

#[test]
fn a_self_signed_certificate_is_as_good() {
    let leaf = Ca::root_of(subject("dev-1"), pki::key()).der;
    assert!(prove_individual(std::slice::from_ref(&leaf), &device("dev-1"), &enrolled(&leaf), now()).is_ok());
}

#[test]
fn either_certificate_is_believed_and_the_hub_learns_of_both() {
    let ca = Ca::root("some CA");
    let (old, new) = (ca.leaf("dev-1"), ca.leaf("dev-1"));
    let pair = CertificatePair { primary: enrolled(&old).primary, secondary: enrolled(&new).primary };
    for leaf in [&old, &new] {
        let proven = prove_individual(std::slice::from_ref(leaf), &device("dev-1"), &pair, now()).unwrap();
        let thumbprint = |der: &[u8]| Certificate::from_der(der).unwrap().info().sha256_thumbprint.clone();
        assert_eq!(
            proven.hub_credential(|| panic!("not a TPM")),
            DeviceCredential::Thumbprints { primary: thumbprint(&old), secondary: Some(thumbprint(&new)) }
        );
    }
}

#[test]
fn another_certificate_of_the_same_name_and_ca_is_refused() {
    let ca = Ca::root("some CA");
    let refusal = refused(&ca.leaf("dev-1"), "dev-1", &enrolled(&ca.leaf("dev-1")), now());
    assert_eq!(refusal.check, Check::Thumbprint);
    assert_eq!(refusal.outward().message, "Invalid certificate.");
}

#[test]
fn the_common_name_must_be_the_registration_id_in_any_case() {
    let leaf = Ca::root("some CA").leaf("Dev-1");
    assert!(prove_individual(std::slice::from_ref(&leaf), &device("dev-1"), &enrolled(&leaf), now()).is_ok());
    let refusal = refused(&leaf, "dev-2", &enrolled(&leaf), now());
    assert_eq!(refusal.check, Check::CommonName);
    assert!(refusal.detail.contains("'Dev-1'") && refusal.detail.contains("'dev-2'"), "{refusal}");
}

#[test]
fn the_leaf_must_be_valid_now_and_the_log_tells_how_far_the_clock_is_off() {
    let leaf = Ca::root("some CA").leaf("dev-1");
    let pair = enrolled(&leaf);
    let (start, end) = (1_577_836_800, 2_208_988_800);
    let at = |secs| prove_individual(std::slice::from_ref(&leaf), &device("dev-1"), &pair, Timestamp::from_secs(secs));
    assert!(at(start - CLOCK_SKEW_S).is_ok(), "a little early is tolerated");
    assert!(at(end).is_ok());
    let early = at(start - 7_200).unwrap_err();
    assert_eq!(early.check, Check::NotYetValid);
    assert!(early.detail.starts_with("In 2 h 0 min"), "{early}");
    let late = at(end + 86_400 * 3).unwrap_err();
    assert_eq!(late.check, Check::Expired);
    assert!(late.detail.contains("expired 3 d 0 h ago"), "{late}");
}

#[test]
fn a_version_1_certificate_is_tolerated() {
    let folder = openssl(
        "v1-leaf",
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj /CN=dev-1 -out r.pem 2>/dev/null
         openssl x509 -req -in r.pem -signkey k.pem -days 1 -out c.pem 2>/dev/null",
    );
    let leaf = Certificate::from_text(&std::fs::read_to_string(folder.join("c.pem")).unwrap()).unwrap();
    assert_eq!(leaf.info().version, 1);
    let at = leaf.info().not_before_utc;
    assert!(prove_individual(&[leaf.der().to_vec()], &device("dev-1"), &enrolled(leaf.der()), at).is_ok());
}

#[test]
fn a_weak_rsa_key_is_refused() {
    let folder =
        openssl("weak-leaf", "openssl req -x509 -newkey rsa:1024 -nodes -keyout k.pem -out c.pem -days 1 -subj /CN=dev-1 2>/dev/null");
    let leaf = Certificate::from_text(&std::fs::read_to_string(folder.join("c.pem")).unwrap()).unwrap();
    let refusal = refused(leaf.der(), "dev-1", &enrolled(leaf.der()), leaf.info().not_before_utc);
    assert_eq!(refusal.check, Check::KeyStrength);
    assert!(refusal.detail.contains("1024 bits"), "{refusal}");
}

#[test]
fn no_certificate_an_unreadable_one_and_too_many_are_told_apart() {
    let leaf = Ca::root("some CA").leaf("dev-1");
    let pair = enrolled(&leaf);
    let check = |chain: &[Vec<u8>]| prove_individual(chain, &device("dev-1"), &pair, now()).unwrap_err().check;
    assert_eq!(check(&[]), Check::CertificateMissing);
    assert_eq!(check(&[b"not a certificate".to_vec()]), Check::CertificateForm);
    assert_eq!(check(&vec![leaf.clone(); 11]), Check::ChainLength);
}

#[test]
fn an_enrollment_without_certificates_admits_nobody() {
    let leaf = Ca::root("some CA").leaf("dev-1");
    assert_eq!(refused(&leaf, "dev-1", &CertificatePair::default(), now()).check, Check::EnrolledCertificate);
}
