//! Certificates: every form that operators send is read, and told of as clients expect.
#![allow(clippy::unwrap_used)]

mod pki;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pki::{Ca, ca_subject, openssl, subject};
use rcgen::{DistinguishedName, DnType, DnValue};
use usher_attestation::{
    Certificate,
    certificate::{CERTIFICATE_BYTES_MAX, CertificateError},
};

fn pem(der: &[u8]) -> String {
    let body: Vec<String> = STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", body.join("\n"))
}

#[test]
fn pem_base64_der_and_base64_pem_all_give_the_same_certificate() {
    let der = Ca::root("root").der;
    let wanted = Certificate::from_der(&der).unwrap();
    let text = pem(&der);
    let forms = [
        text.clone(),
        text.trim_end().to_owned(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\n    "),
        format!("\u{feff}{text}"),
        format!("subject=CN = root\n{text}"),
        STANDARD.encode(&der),
        format!("{}\n", STANDARD.encode(&der)),
        STANDARD.encode(&text),
    ];
    for form in forms {
        assert_eq!(Certificate::from_text(&form).unwrap(), wanted, "{form}");
    }
}

#[test]
fn anything_but_one_certificate_is_refused_by_name() {
    let root = Ca::root("root");
    let text = pem(&root.der);
    let mut long = root.der.clone();
    long.push(0);
    let cases = [
        (String::new(), CertificateError::NotDer),
        ("hello".to_owned(), CertificateError::NotText),
        (STANDARD.encode("hello"), CertificateError::NotDer),
        (STANDARD.encode(&long), CertificateError::TrailingBytes),
        (format!("{text}{text}"), CertificateError::Several),
        (pki::key().serialize_pem(), CertificateError::PrivateKey),
        (format!("{text}{}", pki::key().serialize_pem()), CertificateError::PrivateKey),
        (pki::key().public_key_pem(), CertificateError::None),
        (text.replace("-----END CERTIFICATE-----", ""), CertificateError::NotText),
        ("A".repeat(3 * CERTIFICATE_BYTES_MAX), CertificateError::TooLarge),
    ];
    for (text, wanted) in cases {
        assert_eq!(Certificate::from_text(&text).map(|_| ()), Err(wanted), "{text:.80}");
    }
    assert_eq!(Certificate::from_der(&vec![0x30; CERTIFICATE_BYTES_MAX + 1]), Err(CertificateError::TooLarge));
}

#[test]
fn the_info_matches_what_openssl_tells() {
    let folder = openssl(
        "info",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 30 -set_serial 0x00c0ffee01 \
         -subj '/C=DE/ST=Hessen/O=Acme, Inc/OU=Line 7/CN=dev-1' 2>/dev/null
         openssl x509 -in c.pem -noout -fingerprint -sha1 | cut -d= -f2 | tr -d ':' > sha1
         openssl x509 -in c.pem -noout -fingerprint -sha256 | cut -d= -f2 | tr -d ':' > sha256",
    );
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let certificate = Certificate::from_text(&read("c.pem")).unwrap();
    let info = certificate.info();
    assert_eq!(info.sha1_thumbprint, read("sha1").trim());
    assert_eq!(info.sha256_thumbprint, read("sha256").trim());
    assert_eq!(info.serial_number, "00C0FFEE01");
    assert_eq!(info.version, 3);
    assert_eq!(info.subject_name, "CN=dev-1, OU=Line 7, O=\"Acme, Inc\", S=Hessen, C=DE", "as .NET writes it");
    assert_eq!(info.issuer_name, info.subject_name);
    assert_eq!(info.not_after_utc.secs() - info.not_before_utc.secs(), 30 * 86_400);
    assert_eq!(certificate.common_name(), Some("dev-1"));
}

#[test]
fn a_certificate_survives_storage() {
    let certificate = Ca::root("root").certificate();
    assert_eq!(Certificate::from_stored(&certificate.stored()).unwrap(), certificate);
    let mut broken = certificate.stored();
    broken.der.truncate(40);
    assert_eq!(Certificate::from_stored(&broken), Err(CertificateError::NotDer));
}

#[test]
fn names_in_every_string_type_are_read() {
    let common_name = |value: DnValue| {
        let mut params = subject("x");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, value);
        Certificate::from_der(&Ca::root("root").leaf_of(&params)).unwrap().common_name().map(str::to_owned)
    };
    assert_eq!(common_name(DnValue::Utf8String("gerät".into())).as_deref(), Some("gerät"));
    assert_eq!(common_name(DnValue::PrintableString("dev-1".try_into().unwrap())).as_deref(), Some("dev-1"));
    assert_eq!(common_name(DnValue::TeletexString("dev-2".try_into().unwrap())).as_deref(), Some("dev-2"));
    assert_eq!(common_name(DnValue::BmpString("dev-3".try_into().unwrap())).as_deref(), Some("dev-3"));
    assert_eq!(common_name(DnValue::Ia5String("dev-4".try_into().unwrap())).as_deref(), Some("dev-4"));
}

#[test]
fn a_subject_with_two_common_names_has_none() {
    let folder = openssl(
        "two-names",
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 30 -subj /CN=dev-1/CN=dev-2 2>/dev/null",
    );
    let certificate = Certificate::from_text(&std::fs::read_to_string(folder.join("c.pem")).unwrap()).unwrap();
    assert_eq!(certificate.common_name(), None);
    assert_eq!(certificate.info().subject_name, "CN=dev-2, CN=dev-1");
}

#[test]
fn ca_and_issuer_are_told_apart() {
    let root = Ca::root("root");
    let leaf = Certificate::from_der(&root.leaf("dev-1")).unwrap();
    assert!(root.certificate().is_ca() && root.certificate().is_self_issued());
    assert!(!leaf.is_ca() && !leaf.is_self_issued());
    assert_eq!(leaf.issuer_der(), root.certificate().subject_der());
    assert!(leaf.is_signed_by(&root.certificate()));
    assert!(!leaf.is_signed_by(&Ca::root_of(ca_subject("root"), pki::key()).certificate()));
}
