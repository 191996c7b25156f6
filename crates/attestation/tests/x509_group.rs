//! X.509 groups: which chains lead to an enrolled CA, and which do not.
#![allow(clippy::unwrap_used)]

mod pki;

use pki::{Ca, ca_subject, enrolled, now, openssl, subject};
use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use usher_attestation::{
    Certificate, Check, Means, ProvenIdentity, Refusal,
    x509::{SIGNATURE_CHECKS_MAX, issuer_names, prove_group, prove_nearest_group, signer_index_name},
};
use usher_domain::{RegistrationId, Timestamp, enrollment::CertificatePair, hub_device::DeviceCredential};

fn device(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

fn prove(chain: &[&Vec<u8>], signers: &CertificatePair) -> Result<ProvenIdentity, Refusal> {
    let chain: Vec<Vec<u8>> = chain.iter().map(|der| (*der).clone()).collect();
    prove_group(&chain, &device("dev-1"), signers, now())
}

fn refused(chain: &[&Vec<u8>], signers: &CertificatePair) -> Refusal {
    prove(chain, signers).unwrap_err()
}

fn distance(proven: &ProvenIdentity) -> usize {
    match proven.means() {
        Means::X509 { distance, .. } => *distance,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leaf_issued_by_the_enrolled_root_is_believed_alone() {
    let root = Ca::root("root");
    let leaf = root.leaf("dev-1");
    let proven = prove(&[&leaf], &root.enrolled()).unwrap();
    assert_eq!(distance(&proven), 1);
    let Means::X509 { signer: Some(signer), .. } = proven.means() else { panic!("{proven:?}") };
    assert_eq!(signer.subject_name, "CN=root");
    let thumbprint = Certificate::from_der(&leaf).unwrap().info().sha256_thumbprint.clone();
    assert_eq!(proven.hub_credential(|| panic!("not a TPM")), DeviceCredential::Thumbprints { primary: thumbprint, secondary: None });
}

#[test]
fn several_intermediates_lead_to_an_enrolled_root_whether_presented_or_not() {
    let root = Ca::root("root");
    let (plant, line) = {
        let plant = root.sub("plant");
        let line = plant.sub("line");
        (plant, line)
    };
    let leaf = line.leaf("dev-1");
    assert_eq!(distance(&prove(&[&leaf, &line.der, &plant.der], &root.enrolled()).unwrap()), 3);
    assert_eq!(distance(&prove(&[&leaf, &line.der, &plant.der, &root.der], &root.enrolled()).unwrap()), 3);
}

#[test]
fn an_enrolled_intermediate_ends_the_path_early() {
    let root = Ca::root("root");
    let line = root.sub("line");
    let leaf = line.leaf("dev-1");
    assert_eq!(distance(&prove(&[&leaf], &line.enrolled()).unwrap()), 1);
    assert_eq!(distance(&prove(&[&leaf, &line.der, &root.der], &line.enrolled()).unwrap()), 1);
}

#[test]
fn order_repeats_and_unrelated_certificates_do_not_matter() {
    let (root, stranger) = (Ca::root("root"), Ca::root("stranger"));
    let plant = root.sub("plant");
    let line = plant.sub("line");
    let leaf = line.leaf("dev-1");
    assert!(prove(&[&leaf, &stranger.der, &plant.der, &plant.der, &leaf, &line.der], &root.enrolled()).is_ok());
}

#[test]
fn the_secondary_ca_is_as_good_as_the_primary() {
    let (old, new) = (Ca::root("root"), Ca::root("root"));
    let pair = CertificatePair { primary: old.enrolled().primary, secondary: new.enrolled().primary };
    assert!(prove(&[&old.leaf("dev-1")], &pair).is_ok());
    assert!(prove(&[&new.leaf("dev-1")], &pair).is_ok(), "of two CAs of one name, the key decides");
}

#[test]
fn a_gap_in_the_chain_is_refused_and_named() {
    let root = Ca::root("root");
    let plant = root.sub("plant");
    let line = plant.sub("line");
    let leaf = line.leaf("dev-1");
    let refusal = refused(&[&leaf, &line.der], &root.enrolled());
    assert_eq!(refusal.check, Check::IssuerMissing);
    assert_eq!(
        refusal.detail,
        "No certificate of 'CN=plant', which issued certificate 1 of the chain ('CN=line'), is presented or enrolled."
    );
    assert_eq!(refused(&[&leaf], &root.enrolled()).check, Check::IssuerMissing);
}

#[test]
fn a_chain_to_another_root_is_refused_and_the_root_is_named() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let leaf = root.leaf("dev-1");
    let refusal = refused(&[&leaf, &root.der], &other.enrolled());
    assert_eq!(refusal.check, Check::UnknownRoot);
    assert!(refusal.detail.contains("certificate 1 of the chain ('CN=root')"), "{refusal}");
}

#[test]
fn a_ca_of_the_same_name_with_another_key_is_refused() {
    let (root, impostor) = (Ca::root("root"), Ca::root("root"));
    let refusal = refused(&[&impostor.leaf("dev-1")], &root.enrolled());
    assert_eq!(refusal.check, Check::IssuerSignature);
    assert!(refusal.detail.contains("the enrolled primary CA ('CN=root')"), "{refusal}");
    let refusal = refused(&[&impostor.leaf("dev-1"), &impostor.der], &root.enrolled());
    assert_eq!(refusal.check, Check::IssuerSignature);
}

#[test]
fn a_forged_leaf_signature_is_refused() {
    let root = Ca::root("root");
    let mut leaf = root.leaf("dev-1");
    // The last byte belongs to the signature's second integer; the certificate stays well-formed.
    *leaf.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&[&leaf], &root.enrolled()).check, Check::IssuerSignature);
}

#[test]
fn a_device_certificate_cannot_issue_others() {
    let root = Ca::root("root");
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let mut params = subject("dev-0");
        params.is_ca = is_ca;
        let dev_0 = root.sub_of(params);
        let leaf = dev_0.leaf("dev-1");
        let refusal = refused(&[&leaf, &dev_0.der], &root.enrolled());
        assert_eq!(refusal.check, Check::NotCa);
        assert!(refusal.detail.contains("certificate 1 of the chain ('CN=dev-0')"), "{refusal}");
    }
}

#[test]
fn an_enrolled_certificate_that_is_no_ca_vouches_for_nobody() {
    let not_ca = Ca::root_of(subject("root"), pki::key());
    assert_eq!(refused(&[&not_ca.leaf("dev-1")], &not_ca.enrolled()).check, Check::NotCa);
}

#[test]
fn a_version_1_root_is_no_ca() {
    let folder = openssl(
        "v1-root",
        "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -subj /CN=root -out r.pem 2>/dev/null
         openssl x509 -req -in r.pem -signkey k.pem -days 1 -out root.pem 2>/dev/null
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout l.pem -subj /CN=dev-1 -out l.csr 2>/dev/null
         openssl x509 -req -in l.csr -CA root.pem -CAkey k.pem -CAcreateserial -days 1 -out leaf.pem 2>/dev/null",
    );
    let read = |name: &str| Certificate::from_text(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    let (root, leaf) = (read("root.pem"), read("leaf.pem"));
    let at = leaf.info().not_before_utc;
    let refusal = prove_group(&[leaf.der().to_vec()], &device("dev-1"), &enrolled(root.der()), at).unwrap_err();
    assert_eq!(refusal.check, Check::NotCa);
}

#[test]
fn key_usage_must_allow_signing_certificates_where_it_is_given() {
    let root = Ca::root("root");
    let mut params = ca_subject("line");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let line = root.sub_of(params);
    assert_eq!(refused(&[&line.leaf("dev-1"), &line.der], &root.enrolled()).check, Check::KeyUsage);
    let mut params = ca_subject("line");
    params.key_usages = Vec::new();
    let line = root.sub_of(params);
    assert!(prove(&[&line.leaf("dev-1"), &line.der], &root.enrolled()).is_ok());
}

#[test]
fn path_lengths_are_kept() {
    let limited = |name: &str, length| {
        let mut params = ca_subject(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        params
    };
    let root = Ca::root_of(limited("root", 1), pki::key());
    let plant = root.sub("plant");
    assert!(prove(&[&plant.leaf("dev-1"), &plant.der], &root.enrolled()).is_ok());
    let line = plant.sub("line");
    let refusal = refused(&[&line.leaf("dev-1"), &line.der, &plant.der], &root.enrolled());
    assert_eq!(refusal.check, Check::PathLength);
    assert!(refusal.detail.contains("the enrolled primary CA"), "{refusal}");
    let narrow = Ca::root("root").sub_of(limited("plant", 0));
    let line = narrow.sub("line");
    let refusal = refused(&[&line.leaf("dev-1"), &line.der], &narrow.enrolled());
    assert_eq!(refusal.check, Check::PathLength);
}

#[test]
fn certificates_that_a_ca_issued_to_itself_do_not_count_for_path_lengths() {
    let mut params = ca_subject("root");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let old = Ca::root_of(params, pki::key());
    let new = old.sub_with_key(ca_subject("root"), pki::key());
    assert!(prove(&[&new.leaf("dev-1"), &new.der], &old.enrolled()).is_ok(), "RFC 5280 section 6.1.4 (l)");
}

#[test]
fn leaf_intermediate_and_enrolled_ca_must_all_be_valid_now() {
    let ended = |mut params: rcgen::CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2026, 5, 31);
        params
    };
    let root = Ca::root("root");
    let leaf = root.leaf_of(&ended(subject("dev-1")));
    let refusal = refused(&[&leaf], &root.enrolled());
    assert_eq!((refusal.check, refusal.detail.contains("the leaf ('CN=dev-1') expired 1 d 0 h ago")), (Check::Expired, true), "{refusal}");
    let line = root.sub_of(ended(ca_subject("line")));
    let refusal = refused(&[&line.leaf("dev-1"), &line.der], &root.enrolled());
    assert_eq!((refusal.check, refusal.detail.contains("certificate 1 of the chain")), (Check::Expired, true), "{refusal}");
    let old = Ca::root_of(ended(ca_subject("root")), pki::key());
    let refusal = refused(&[&old.leaf("dev-1")], &old.enrolled());
    assert_eq!((refusal.check, refusal.detail.contains("the enrolled primary CA")), (Check::Expired, true), "{refusal}");
    let mut params = ca_subject("line");
    params.not_before = rcgen::date_time_ymd(2026, 6, 2);
    let line = root.sub_of(params);
    assert_eq!(refused(&[&line.leaf("dev-1"), &line.der], &root.enrolled()).check, Check::NotYetValid);
}

#[test]
fn an_expired_intermediate_is_stepped_around_where_its_successor_is_presented_too() {
    let root = Ca::root("root");
    let line = root.sub("line");
    let mut old_params = ca_subject("line");
    old_params.not_after = rcgen::date_time_ymd(2026, 5, 31);
    let old = root.sub_of(old_params);
    assert!(prove(&[&line.leaf("dev-1"), &old.der, &line.der], &root.enrolled()).is_ok());
}

#[test]
fn a_cross_certificate_leads_to_the_other_root() {
    let (root, other) = (Ca::root("root"), Ca::root("other"));
    let line = root.sub("line");
    let cross = line.cross_signed_by(&other);
    assert!(prove(&[&line.leaf("dev-1"), &line.der, &cross], &other.enrolled()).is_ok());
    assert!(prove(&[&line.leaf("dev-1"), &cross, &line.der], &root.enrolled()).is_ok());
}

#[test]
fn the_common_name_must_be_the_registration_id() {
    let root = Ca::root("root");
    assert_eq!(refused(&[&root.leaf("dev-2")], &root.enrolled()).check, Check::CommonName);
    assert!(prove(&[&root.leaf("DEV-1")], &root.enrolled()).is_ok());
}

#[test]
fn every_accepted_algorithm_is_checked() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let root = Ca::root_with("root", algorithm);
        assert!(prove(&[&root.leaf("dev-1")], &root.enrolled()).is_ok(), "{algorithm:?}");
        let impostor = Ca::root_with("root", algorithm);
        assert_eq!(refused(&[&impostor.leaf("dev-1")], &root.enrolled()).check, Check::IssuerSignature, "{algorithm:?}");
    }
}

#[test]
fn a_key_of_a_kind_that_is_not_accepted_is_refused() {
    let root = Ca::root_of(ca_subject("root"), KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA256).unwrap());
    assert_eq!(refused(&[&root.leaf("dev-1")], &root.enrolled()).check, Check::KeyStrength);
}

/// A root and a leaf by the openssl command, with the given options for the root's key and for the leaf's signature.
fn by_openssl(test: &str, root_key: &str, sign: &str) -> (Certificate, Certificate) {
    let script = format!(
        "openssl req -x509 -newkey {root_key} -nodes -keyout k.pem -out root.pem -days 1 -subj /CN=root 2>/dev/null
         openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout l.pem -subj /CN=dev-1 -out l.csr 2>/dev/null
         openssl x509 -req -in l.csr -CA root.pem -CAkey k.pem -CAcreateserial -days 1 -out leaf.pem {sign} 2>/dev/null"
    );
    let folder = openssl(test, &script);
    let read = |name: &str| Certificate::from_text(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    (read("root.pem"), read("leaf.pem"))
}

fn prove_by_openssl(root: &Certificate, leaf: &Certificate) -> Result<ProvenIdentity, Refusal> {
    prove_group(&[leaf.der().to_vec()], &device("dev-1"), &enrolled(root.der()), leaf.info().not_before_utc)
}

#[test]
fn rsa_pss_is_checked() {
    let (root, leaf) = by_openssl("pss", "rsa:2048", "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest");
    assert!(prove_by_openssl(&root, &leaf).is_ok());
}

#[test]
fn sha_1_signatures_are_refused() {
    let (root, leaf) = by_openssl("sha1", "rsa:2048", "-sha1");
    let refusal = prove_by_openssl(&root, &leaf).unwrap_err();
    assert_eq!(refusal.check, Check::SignatureAlgorithm);
    assert!(refusal.detail.contains("SHA-1"), "{refusal}");
}

#[test]
fn rsa_keys_below_2048_bits_are_refused() {
    let (root, leaf) = by_openssl("rsa1024", "rsa:1024", "-sha256");
    assert_eq!(prove_by_openssl(&root, &leaf).unwrap_err().check, Check::KeyStrength);
}

#[test]
fn a_critical_extension_that_is_not_understood_is_refused_and_a_plain_one_is_not() {
    let root = Ca::root("root");
    let with = |critical: bool, mut params: rcgen::CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(critical);
        params.custom_extensions.push(extension);
        params
    };
    assert_eq!(refused(&[&root.leaf_of(&with(true, subject("dev-1")))], &root.enrolled()).check, Check::Extension);
    assert!(prove(&[&root.leaf_of(&with(false, subject("dev-1")))], &root.enrolled()).is_ok());
    let line = root.sub_of(with(true, ca_subject("line")));
    let refusal = refused(&[&line.leaf("dev-1"), &line.der], &root.enrolled());
    assert_eq!(refusal.check, Check::Extension);
    assert!(refusal.detail.contains("1.3.6.1.4.1.99999.1"), "{refusal}");
}

#[test]
fn an_unreadable_certificate_is_named_by_its_place() {
    let root = Ca::root("root");
    let refusal = refused(&[&root.leaf("dev-1"), &b"not a certificate".to_vec()], &root.enrolled());
    assert_eq!(refusal.check, Check::CertificateForm);
    assert!(refusal.detail.contains("certificate 1 of the chain"), "{refusal}");
}

#[test]
fn a_group_without_certificates_admits_nobody() {
    let leaf = Ca::root("root").leaf("dev-1");
    assert_eq!(refused(&[&leaf], &CertificatePair::default()).check, Check::EnrolledCertificate);
}

#[test]
fn names_to_look_up_come_nearest_first() {
    let root = Ca::root("root");
    let plant = root.sub("plant");
    let line = plant.sub("line");
    let chain = [line.leaf("dev-1"), root.der.clone(), plant.der.clone(), line.der.clone()];
    let names = [&line, &plant, &root].map(|ca| signer_index_name(&ca.certificate()).to_vec());
    assert_eq!(issuer_names(&chain), names);
    assert_eq!(issuer_names(&chain[..1]), names[..1]);
    assert!(issuer_names(&[]).is_empty());
}

#[test]
fn of_several_groups_the_nearest_ca_decides() {
    let root = Ca::root("root");
    let plant = root.sub("plant");
    let line = plant.sub("line");
    let chain = [line.leaf("dev-1"), line.der.clone(), plant.der.clone()];
    let groups = [&root.enrolled(), &plant.enrolled(), &Ca::root("other").enrolled()];
    let (place, proven) = prove_nearest_group(&chain, &device("dev-1"), &groups, now()).unwrap();
    assert_eq!((place, distance(&proven)), (1, 2));
}

#[test]
fn a_made_up_certificate_cannot_bring_a_far_group_forward() {
    let root = Ca::root("root");
    let plant = root.sub("plant");
    let line = plant.sub("line");
    // The device claims that the root issued its line directly, over the line's true name and key, with a signature of its own.
    let pretender = Ca::root_of(ca_subject("root"), pki::key());
    let made_up = line.cross_signed_by(&pretender);
    let chain = [line.leaf("dev-1"), made_up, line.der.clone(), plant.der.clone()];
    assert_eq!(issuer_names(&chain)[1], root.certificate().subject_der(), "by name, the root now comes before the plant");
    let groups = [&root.enrolled(), &plant.enrolled()];
    let (place, _) = prove_nearest_group(&chain, &device("dev-1"), &groups, now()).unwrap();
    assert_eq!(place, 1, "by signature, it does not");
}

#[test]
fn a_hostile_chain_is_given_up_after_a_bounded_number_of_checks() {
    // Nine CAs of one name, each issued by the next: for every one, all the others could be the issuer by name.
    let mut cas = vec![Ca::root("same")];
    for _ in 1..9 {
        cas.push(cas.last().unwrap().sub("same"));
    }
    let leaf = cas.last().unwrap().leaf("dev-1");
    let mut chain: Vec<&Vec<u8>> = vec![&leaf];
    chain.extend(cas.iter().map(|ca| &ca.der));
    assert_eq!(refused(&chain, &Ca::root("same").enrolled()).check, Check::ChainEffort);
}

#[test]
fn many_groups_may_have_cas_of_one_name() {
    let cas: Vec<Ca> = (0..SIGNATURE_CHECKS_MAX + 8).map(|_| Ca::root("Test CA")).collect();
    let pairs: Vec<CertificatePair> = cas.iter().map(Ca::enrolled).collect();
    let groups: Vec<&CertificatePair> = pairs.iter().collect();
    for with_key_identifier in [false, true] {
        let mut params = subject("dev-1");
        params.use_authority_key_identifier_extension = with_key_identifier;
        let (last, line) = (cas.last().unwrap(), cas.last().unwrap().sub("line"));
        for chain in [vec![last.leaf_of(&params)], vec![line.leaf_of(&params), line.der.clone()]] {
            let (place, _) = prove_nearest_group(&chain, &device("dev-1"), &groups, now()).unwrap();
            assert_eq!(place, cas.len() - 1);
        }
    }
}

#[test]
fn a_wrong_key_identifier_is_a_hint_and_no_more() {
    let (root, namesake) = (Ca::root("root"), Ca::root("root"));
    let mut params = subject("dev-1");
    params.use_authority_key_identifier_extension = true;
    let leaf = root.leaf_of(&params);
    let pair = CertificatePair { primary: namesake.enrolled().primary, secondary: root.enrolled().primary };
    assert!(prove(&[&leaf], &pair).is_ok());
    // One CA key under two certificates that call it by different identifiers: the leaf names the one, the other is enrolled.
    let key = pki::key();
    let again = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let mut renamed = ca_subject("root");
    renamed.key_identifier_method = rcgen::KeyIdMethod::PreSpecified(vec![1, 2, 3]);
    let leaf = Ca::root_of(renamed, key).leaf_of(&params);
    assert!(prove(&[&leaf], &Ca::root_of(ca_subject("root"), again).enrolled()).is_ok());
}

#[test]
fn a_path_longer_than_the_limit_is_refused() {
    let root = Ca::root("root");
    let mut cas = vec![root.sub("ca-0")];
    for depth in 1..9 {
        cas.push(cas.last().unwrap().sub(&format!("ca-{depth}")));
    }
    let leaf = cas.last().unwrap().leaf("dev-1");
    let mut chain: Vec<&Vec<u8>> = vec![&leaf];
    chain.extend(cas.iter().rev().map(|ca| &ca.der));
    assert_eq!(chain.len(), 10);
    let refusal = refused(&chain, &root.enrolled());
    assert_eq!(refusal.check, Check::ChainLength);
    assert!(prove(&chain[..9], &cas[0].enrolled()).is_ok(), "ten certificates with the enrolled one");
}

#[test]
fn control_characters_in_names_do_not_reach_the_log() {
    let root = Ca::root("root");
    let refusal = refused(&[&root.leaf("dev-1\nforged line")], &root.enrolled());
    assert!(!refusal.to_string().contains('\n'), "{refusal}");
}

#[test]
fn times_at_the_edge_of_the_calendar_do_not_panic() {
    let root = Ca::root("root");
    for at in [i64::MIN, i64::MAX] {
        let chain = [root.leaf("dev-1")];
        assert!(prove_group(&chain, &device("dev-1"), &root.enrolled(), Timestamp::from_micros(at)).is_err());
    }
}
