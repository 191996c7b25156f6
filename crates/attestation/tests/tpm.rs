//! TPM keys and claims: what is read, what is refused, what is proved. The round trip through a TPM is in `tpm_swtpm.rs`.
#![allow(clippy::unwrap_used)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use usher_attestation::{
    Check, Means, SasToken,
    sas::sign,
    tpm::{Claim, NameHash, PUBLIC_BYTES_MAX, StorageKey, TpmError, URI_BYTES_MAX, prove, registration_id},
};
use usher_domain::{
    IdScope, RegistrationId, Secret, Timestamp,
    enrollment::{SymmetricKeys, TpmKeys},
    hub_device::DeviceCredential,
};

const EK: &[u8] = include_bytes!("data/ek_rsa2048.pub");
const EK_P256: &[u8] = include_bytes!("data/ek_p256.pub");
const EK_P384: &[u8] = include_bytes!("data/ek_p384.pub");
const EK_3072: &[u8] = include_bytes!("data/ek_rsa3072.pub");
const SRK: &[u8] = include_bytes!("data/srk_rsa2048.pub");
const SRK_NAME: &[u8] = include_bytes!("data/srk_rsa2048.name");
const SESSION_KEY: [u8; 32] = [7; 32];

fn enrolled(ek: &[u8], srk: Option<&[u8]>) -> TpmKeys {
    TpmKeys { endorsement_key: STANDARD.encode(ek), storage_root_key: srk.map(|srk| STANDARD.encode(srk)) }
}

/// `whole` with the bytes from `at` replaced.
fn with(whole: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = whole.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    changed
}

#[test]
fn keys_of_every_accepted_kind_are_read_and_written_back() {
    for (bytes, hash) in [
        (EK, NameHash::Sha256),
        (SRK, NameHash::Sha256),
        (EK_P256, NameHash::Sha256),
        (EK_P384, NameHash::Sha384),
        (EK_3072, NameHash::Sha384),
    ] {
        let key = StorageKey::parse(bytes).unwrap();
        assert_eq!((key.to_bytes().as_slice(), key.name_hash()), (bytes, hash));
        assert_eq!(StorageKey::from_base64(&format!(" {}\n", STANDARD.encode(bytes))).unwrap(), key);
    }
}

#[test]
fn the_name_is_the_one_that_the_tpm_tells() {
    assert_eq!(StorageKey::parse(SRK).unwrap().name(), SRK_NAME);
}

#[test]
fn the_default_registration_id_has_52_characters_of_lower_case_base32() {
    let id = registration_id(&StorageKey::parse(EK).unwrap());
    assert_eq!(id.len(), 52);
    assert!(RegistrationId::parse(&id).is_ok());
    // `sha256sum < ek_rsa2048.pub`, through base32 of coreutils.
    assert_eq!(id, include_str!("data/ek_rsa2048.id").trim());
}

#[test]
fn each_broken_rule_of_a_public_area_is_named() {
    // Offsets in TPM2B_PUBLIC of the RSA storage root key: size 0, type 2, name algorithm 4, attributes 6, policy 10, symmetric 12,
    // scheme 18, bits 20, exponent 22, modulus 26.
    let cases: [(&str, Vec<u8>, TpmError); 14] = [
        ("nothing", Vec::new(), TpmError::Sizes),
        ("cut", SRK[..SRK.len() - 1].to_vec(), TpmError::Sizes),
        ("trailing byte", [SRK, &[0]].concat(), TpmError::Sizes),
        ("outer size too small", with(SRK, 0, &[0, 20]), TpmError::Sizes),
        ("modulus size too large", with(SRK, 26, &[0xff, 0xff]), TpmError::Sizes),
        ("too large", vec![0; PUBLIC_BYTES_MAX + 1], TpmError::TooLarge),
        ("keyed hash", with(SRK, 2, &[0, 8]), TpmError::KeyType),
        ("SHA-1 names", with(SRK, 4, &[0, 4]), TpmError::NameAlgorithm),
        ("AES-192", with(SRK, 14, &[0, 192]), TpmError::SymmetricAlgorithm),
        ("no symmetric algorithm", with(SRK, 12, &[0, 0x10]), TpmError::SymmetricAlgorithm),
        ("OAEP scheme", with(SRK, 18, &[0, 0x17]), TpmError::Scheme),
        ("RSA-1024", with(SRK, 20, &[4, 0]), TpmError::RsaKey),
        ("exponent 3", with(SRK, 22, &[0, 0, 0, 3]), TpmError::RsaKey),
        ("even modulus", with(SRK, SRK.len() - 1, &[0]), TpmError::RsaKey),
    ];
    for (what, bytes, wanted) in cases {
        assert_eq!(StorageKey::parse(&bytes), Err(wanted), "{what}");
    }
    assert_eq!(StorageKey::parse(&with(EK_P256, 52, &[0, 5])), Err(TpmError::EccKey), "another curve");
    assert_eq!(StorageKey::from_base64("?"), Err(TpmError::NotBase64));
}

#[test]
fn keys_that_could_leave_their_tpm_are_refused() {
    let attributes = u32::from_be_bytes(SRK[6..10].try_into().unwrap());
    for (name, bit) in [
        ("fixedTPM", 0x2),
        ("fixedParent", 0x10),
        ("sensitiveDataOrigin", 0x20),
        ("restricted", 0x1_0000),
        ("decrypt", 0x2_0000),
        ("encryptedDuplication", 0x800),
        ("sign", 0x4_0000),
    ] {
        let flipped = with(SRK, 6, &(attributes ^ bit).to_be_bytes());
        assert_eq!(StorageKey::parse(&flipped), Err(TpmError::Attributes), "{name}");
    }
}

#[test]
fn a_claim_is_compared_with_the_enrollment() {
    assert!(Claim::check(EK, SRK, &enrolled(EK, None)).is_ok());
    assert!(Claim::check(EK, SRK, &enrolled(EK, Some(SRK))).is_ok());
    let check = |ek: &[u8], srk: &[u8], keys: &TpmKeys| Claim::check(ek, srk, keys).unwrap_err().check;
    assert_eq!(check(EK_P256, SRK, &enrolled(EK, None)), Check::EndorsementKey);
    assert_eq!(check(EK, EK_P256, &enrolled(EK, Some(SRK))), Check::StorageRootKey);
    assert_eq!(check(&EK[1..], SRK, &enrolled(EK, None)), Check::TpmKeyForm);
    assert_eq!(check(EK, &SRK[1..], &enrolled(EK, None)), Check::TpmKeyForm);
    assert_eq!(check(EK, SRK, &enrolled(b"", None)), Check::TpmKeyForm);
}

#[test]
fn blobs_have_the_six_parts_of_the_layout() {
    let claim = Claim::check(EK, SRK, &enrolled(EK, None)).unwrap();
    let blob = claim.activation_blob(&SESSION_KEY, "hub.example").unwrap();
    let mut rest = blob.as_slice();
    let mut sizes = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk() {
        let size = usize::from(u16::from_be_bytes(*head));
        sizes.push(size);
        rest = &tail[size..];
    }
    assert_eq!(sizes, [52, 256, 142, 256, 48, 11]);
    assert!(rest.is_empty());
    assert_ne!(blob, claim.activation_blob(&SESSION_KEY, "hub.example").unwrap(), "fresh randomness each time");
}

#[test]
fn with_rsa_2048_keys_a_blob_fits_into_two_sasl_frames() {
    let claim = Claim::check(EK, SRK, &enrolled(EK, None)).unwrap();
    assert!(claim.activation_blob(&SESSION_KEY, &"u".repeat(URI_BYTES_MAX)).unwrap().len() <= 2 * 470);
    assert!(claim.activation_blob(&SESSION_KEY, &"u".repeat(URI_BYTES_MAX + 1)).is_err());
}

#[test]
fn a_point_off_its_curve_is_refused_when_something_is_to_be_wrapped() {
    let off = with(EK_P256, EK_P256.len() - 1, &[EK_P256[EK_P256.len() - 1] ^ 1]);
    let claim = Claim::check(&off, SRK, &enrolled(&off, None)).unwrap();
    assert_eq!(claim.activation_blob(&SESSION_KEY, "hub.example").unwrap_err().check, Check::TpmKeyForm);
}

#[test]
fn a_token_by_the_session_key_proves_the_tpm_and_any_other_does_not() {
    let (scope, device) = (IdScope::parse("0ne00000001").unwrap(), RegistrationId::parse("tpm-1").unwrap());
    let (expiry, now) = (1_800_000_000, Timestamp::from_secs(1_799_999_000));
    let claim = Claim::check(EK, SRK, &enrolled(EK, None)).unwrap();
    let token = |resource: &str, key: &[u8]| SasToken::parse(&sign(resource, key, expiry, Some("registration"))).unwrap();
    let good = token("0ne00000001/registrations/tpm-1", &SESSION_KEY);
    let proven = prove(&good, &scope, &device, &claim, &SESSION_KEY, now).unwrap();
    assert_eq!(proven.means(), &Means::Tpm { claim: Box::new(claim.clone()) });
    let keys = SymmetricKeys { primary: Secret::new("a"), secondary: Secret::new("b") };
    let credential = DeviceCredential::TpmKeys { primary: keys.primary.clone(), secondary: keys.secondary.clone() };
    assert_eq!(proven.hub_credential(|| keys), credential);
    let refused = |token: &SasToken, now| prove(token, &scope, &device, &claim, &SESSION_KEY, now).unwrap_err().check;
    assert_eq!(refused(&token("0ne00000001/registrations/tpm-1", &[8; 32]), now), Check::TokenSignature);
    assert_eq!(refused(&token("0ne00000001/registrations/tpm-2", &SESSION_KEY), now), Check::TokenResource);
    assert_eq!(refused(&good, Timestamp::from_secs(expiry + 3_600)), Check::TokenExpiry);
}
