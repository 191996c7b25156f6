//! An endorsement key's certificate is believed only with everything in its place; each refusal says which check failed and what to do.
#![allow(clippy::unwrap_used)]

mod pki;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::{Ca, ca_subject, key, now, subject};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use usher_attestation::{
    Certificate, Check,
    certificate::CertificateError,
    tpm::{AUTHORITIES_MAX, EkCertificateError, StorageKey, check_ek_certificate},
};
use usher_domain::limits::CHAIN_DEPTH_MAX;

/// The P-256 key of a TPM, from the default template.
const TEMPLATE: &[u8] = include_bytes!("data/ek_p256.pub");

/// The maker's works: root, line and a TPM's key.
struct Works {
    root: Ca,
    line: Ca,
    key: KeyPair,
}

impl Works {
    fn open() -> Self {
        let root = Ca::root("maker root");
        let line = root.sub("maker line 1");
        Self { root, line, key: key() }
    }

    /// The key as the TPM tells it: the template with this point.
    fn ek(&self) -> StorageKey {
        let point = self.key.public_key_raw();
        let mut public = TEMPLATE[..TEMPLATE.len() - 68].to_vec();
        for coordinate in [&point[1..33], &point[33..65]] {
            public.extend([0, 32]);
            public.extend(coordinate);
        }
        StorageKey::parse(&public).unwrap()
    }

    /// Checks a certificate for the key, with the line's CA behind it and the root trusted.
    fn check(&self, params: &CertificateParams) -> Result<(), EkCertificateError> {
        let leaf = self.line.leaf_with_key(params, &self.key);
        check_ek_certificate(&pem(&[&leaf, &self.line.der]), &pem(&[&self.root.der]), &self.ek(), now())
    }

    fn refused_in_chain(&self, params: &CertificateParams) -> Check {
        chain_check(self.check(params))
    }
}

fn chain_check(outcome: Result<(), EkCertificateError>) -> Check {
    match outcome {
        Err(EkCertificateError::Chain(refusal)) => refusal.check,
        other => panic!("the chain should be at fault, not {other:?}"),
    }
}

fn pem(ders: &[&[u8]]) -> String {
    let one = |der: &&[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    ders.iter().map(one).collect()
}

fn ek_purpose() -> ExtendedKeyUsagePurpose {
    ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])
}

/// What makers write: no subject, a critical alternative name with the TPM's model, the purpose, the usage, no end.
fn by_the_profile() -> CertificateParams {
    let mut params = subject("");
    params.distinguished_name = DistinguishedName::new();
    params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    params.extended_key_usages = vec![ek_purpose()];
    params.custom_extensions = vec![model_name()];
    params
}

fn by_the_profile_but(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = by_the_profile();
    change(&mut params);
    params
}

/// subjectAltName of one directoryName: 2.23.133.2.2 (TPM model) = "usher".
fn model_name() -> CustomExtension {
    let attribute = [&[0x06, 5, 0x67, 0x81, 0x05, 0x02, 0x02, 0x0c, 5][..], b"usher"].concat();
    let nested = [0x30, 0x31, 0x30, 0xa4, 0x30]
        .iter()
        .fold(attribute, |inner, tag| [&[*tag, u8::try_from(inner.len()).unwrap()][..], &inner].concat());
    let mut name = CustomExtension::from_oid_content(&[2, 5, 29, 17], nested);
    name.set_criticality(true);
    name
}

#[test]
fn a_certificate_by_the_profile_vouches_for_its_key() {
    assert_eq!(Works::open().check(&by_the_profile()), Ok(()));
}

#[test]
fn the_key_usage_may_be_left_out() {
    let params = by_the_profile_but(|params| params.key_usages = Vec::new());
    assert_eq!(Works::open().check(&params), Ok(()));
}

#[test]
fn a_certificate_for_another_key_does_not_vouch() {
    let works = Works::open();
    let leaf = works.line.leaf_of(&by_the_profile());
    let outcome = check_ek_certificate(&pem(&[&leaf, &works.line.der]), &pem(&[&works.root.der]), &works.ek(), now());
    assert_eq!(outcome, Err(EkCertificateError::OtherKey));
}

#[test]
fn a_certificate_for_another_purpose_does_not_vouch() {
    let works = Works::open();
    for purposes in [vec![], vec![ExtendedKeyUsagePurpose::ClientAuth], vec![ExtendedKeyUsagePurpose::Any]] {
        let params = by_the_profile_but(|params| params.extended_key_usages = purposes);
        assert_eq!(works.check(&params), Err(EkCertificateError::Purpose));
    }
}

#[test]
fn a_key_usage_that_excludes_agreement_is_refused() {
    let params = by_the_profile_but(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(Works::open().check(&params), Err(EkCertificateError::KeyUsage));
}

#[test]
fn a_cas_certificate_is_not_an_endorsement_keys() {
    let params = by_the_profile_but(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(Works::open().check(&params), Err(EkCertificateError::IsCa));
}

#[test]
fn the_whole_chain_must_be_valid_now() {
    let works = Works::open();
    let over = by_the_profile_but(|params| params.not_after = rcgen::date_time_ymd(2025, 1, 1));
    assert_eq!(works.refused_in_chain(&over), Check::Expired);
    let early = by_the_profile_but(|params| params.not_before = rcgen::date_time_ymd(2027, 1, 1));
    assert_eq!(works.refused_in_chain(&early), Check::NotYetValid);
    let root = Ca::root("maker root");
    let mut closed = ca_subject("closed line");
    closed.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let line = root.sub_of(closed);
    assert_eq!(Works { root, line, key: key() }.refused_in_chain(&by_the_profile()), Check::Expired);
}

#[test]
fn an_intermediate_must_be_a_ca() {
    let root = Ca::root("maker root");
    let line = root.sub_of(subject("not a CA"));
    assert_eq!(Works { root, line, key: key() }.refused_in_chain(&by_the_profile()), Check::NotCa);
}

#[test]
fn a_critical_extension_that_is_not_understood_is_refused() {
    let mut params = by_the_profile();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions.push(unknown);
    assert_eq!(Works::open().refused_in_chain(&params), Check::Extension);
}

#[test]
fn a_missing_intermediate_and_a_root_of_the_same_name_are_told_apart() {
    let works = Works::open();
    let leaf = works.line.leaf_with_key(&by_the_profile(), &works.key);
    let alone = check_ek_certificate(&STANDARD.encode(&leaf), &pem(&[&works.root.der]), &works.ek(), now());
    let text = alone.clone().unwrap_err().to_string();
    assert!(text.starts_with("IssuerMissing: ") && text.ends_with("into authorities."), "{text}");
    assert_eq!(chain_check(alone), Check::IssuerMissing);
    let namesake = Ca::root("maker root");
    let outcome = check_ek_certificate(&pem(&[&leaf, &works.line.der]), &pem(&[&namesake.der]), &works.ek(), now());
    assert_eq!(chain_check(outcome), Check::IssuerSignature);
}

#[test]
fn a_root_that_is_sent_along_is_not_trusted_for_that() {
    let (works, other) = (Works::open(), Ca::root("another maker"));
    let leaf = works.line.leaf_with_key(&by_the_profile(), &works.key);
    let outcome = check_ek_certificate(&pem(&[&leaf, &works.line.der, &works.root.der]), &pem(&[&other.der]), &works.ek(), now());
    assert_eq!(chain_check(outcome), Check::UnknownRoot);
}

#[test]
fn texts_that_hold_nothing_or_too_much_are_refused() {
    let works = Works::open();
    let leaf = works.line.leaf_with_key(&by_the_profile(), &works.key);
    let check = |certificate: &str, authorities: &str| check_ek_certificate(certificate, authorities, &works.ek(), now());
    let root = pem(&[&works.root.der]);
    assert_eq!(check("no base64!", &root), Err(EkCertificateError::Certificate(CertificateError::NotText)));
    assert!(matches!(check("", &root), Err(EkCertificateError::Certificate(_))));
    assert!(matches!(check(&pem(&[&leaf]), ""), Err(EkCertificateError::Authorities(_))));
    let many = pem(&[leaf.as_slice(); CHAIN_DEPTH_MAX + 1]);
    assert_eq!(check(&many, &root), Err(EkCertificateError::Certificate(CertificateError::TooMany(CHAIN_DEPTH_MAX))));
    let many = pem(&[works.root.der.as_slice(); AUTHORITIES_MAX + 1]);
    assert_eq!(check(&pem(&[&leaf]), &many), Err(EkCertificateError::Authorities(CertificateError::TooMany(AUTHORITIES_MAX))));
    let secret = format!("{}{}", pem(&[&leaf]), works.key.serialize_pem());
    assert_eq!(check(&secret, &root), Err(EkCertificateError::Certificate(CertificateError::PrivateKey)));
    assert!(Certificate::from_text(&pem(&[&leaf, &leaf])) == Err(CertificateError::Several), "elsewhere one is still one");
}
