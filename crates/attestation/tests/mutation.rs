//! Every parser fed before a device has proved anything, under thousands of damaged inputs: none may panic, and what a
//! signature covers may not be changed unnoticed. Deterministic, so that a failure can be repeated; the fuzz targets go further.
#![allow(clippy::unwrap_used)]

mod pki;

use pki::now;
use usher_attestation::{
    Certificate, SasToken,
    sas::sign,
    tpm::{Claim, StorageKey, check_ek_certificate},
    x509,
};
use usher_domain::{RegistrationId, enrollment::TpmKeys};

/// A small generator (xorshift64*): the point is variety and repeatability, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}

/// One to four changes: a flipped bit, an edge value, a cut, a repeat, a removal.
fn damaged(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=dice.roll(4) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = dice.roll(bytes.len());
        match dice.roll(6) {
            0 => bytes[at] ^= 1 << dice.roll(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff][dice.roll(8)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, dice.roll(256) as u8),
            4 => {
                let piece: Vec<u8> = bytes[at..].iter().take(dice.roll(64)).copied().collect();
                bytes.splice(at..at, piece);
            }
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes
}

#[test]
fn damaged_tokens_never_panic_and_never_verify() {
    let whole = sign("0ne00000001/registrations/dev-1", b"0123456789abcdef", 1_800_000_000, Some("registration"));
    let wanted = SasToken::parse(&whole).unwrap();
    let mut dice = Dice(1);
    for _ in 0..20_000 {
        let bytes = damaged(whole.as_bytes(), &mut dice);
        let Ok(token) = SasToken::parse(&String::from_utf8_lossy(&bytes)) else { continue };
        let _ = token.covers("0ne00000001/registrations/dev-1");
        if token.verify(b"0123456789abcdef", now()).is_ok() {
            assert_eq!((token.resource(), token.expiry_s()), (wanted.resource(), wanted.expiry_s()));
        }
    }
}

const ROOT: &[u8] = include_bytes!("data/root.der");
const LINE: &[u8] = include_bytes!("data/line.der");
const LEAF: &[u8] = include_bytes!("data/leaf.der");

/// The signed part of a certificate.
fn signed_part(der: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::FromDer as _;
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).unwrap();
    certificate.tbs_certificate.as_ref().to_vec()
}

#[test]
fn damaged_certificates_never_panic_and_chain_only_where_the_signed_part_is_whole() {
    let device = RegistrationId::parse("dev-1").unwrap();
    let (whole, root) = ([LEAF.to_vec(), LINE.to_vec()], pki::enrolled(ROOT));
    let at = Certificate::from_der(LEAF).unwrap().info().not_before_utc;
    assert!(x509::prove_group(&whole, &device, &root, at).is_ok());
    let mut dice = Dice(2);
    for round in 0..20_000 {
        let mut chain = whole.clone();
        let which = round % 2;
        chain[which] = damaged(&whole[which], &mut dice);
        let _ = x509::issuer_names(&chain);
        if x509::prove_group(&chain, &device, &root, at).is_ok() {
            assert_eq!(signed_part(&chain[which]), signed_part(&whole[which]), "round {round}");
        }
    }
}

#[test]
fn damaged_certificate_texts_never_panic() {
    let text = pem(LEAF);
    let mut dice = Dice(3);
    let mut read = 0;
    for _ in 0..20_000 {
        let bytes = damaged(text.as_bytes(), &mut dice);
        read += usize::from(Certificate::from_text(&String::from_utf8_lossy(&bytes)).is_ok());
    }
    assert!((1..20_000).contains(&read), "some damage is found, some is harmless");
}

fn pem(der: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

#[test]
fn damaged_tpm_keys_never_panic_and_never_wrap_without_an_answer() {
    const KEYS: [&[u8]; 4] = [
        include_bytes!("data/ek_rsa2048.pub"),
        include_bytes!("data/srk_rsa2048.pub"),
        include_bytes!("data/ek_p256.pub"),
        include_bytes!("data/ek_p384.pub"),
    ];
    let mut dice = Dice(4);
    let mut read = 0;
    for round in 0..20_000 {
        let bytes = damaged(KEYS[round % 4], &mut dice);
        let Ok(key) = StorageKey::parse(&bytes) else { continue };
        assert_eq!(key.to_bytes(), bytes, "what is read is read whole");
        read += 1;
        if read % 50 == 0 {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            let enrolled = TpmKeys { endorsement_key: STANDARD.encode(&bytes), storage_root_key: None };
            let claim = Claim::check(&bytes, &bytes, &enrolled).unwrap();
            assert!(claim.activation_blob(&[0; 32], "hub.example").map_or(true, |blob| blob.len() > 300));
        }
    }
    assert!(read > 0, "some damage cannot be seen: a modulus is a number like any other");
}

#[test]
fn damaged_endorsement_key_certificates_never_panic_and_vouch_only_where_the_signed_part_is_whole() {
    const MADE: [&[u8]; 2] = [include_bytes!("data/made_ek_rsa2048.der"), include_bytes!("data/made_ek_issuer.der")];
    let root = pem(include_bytes!("data/made_ek_root.der"));
    let key = StorageKey::parse(include_bytes!("data/made_ek_rsa2048.pub")).unwrap();
    let at = Certificate::from_der(MADE[0]).unwrap().info().not_before_utc;
    assert_eq!(check_ek_certificate(&(pem(MADE[0]) + &pem(MADE[1])), &root, &key, at), Ok(()));
    let mut dice = Dice(5);
    for round in 0..20_000 {
        let mut chain = MADE.map(<[u8]>::to_vec);
        let which = round % 2;
        chain[which] = damaged(MADE[which], &mut dice);
        if check_ek_certificate(&(pem(&chain[0]) + &pem(&chain[1])), &root, &key, at).is_ok() {
            assert_eq!(signed_part(&chain[which]), signed_part(MADE[which]), "round {round}");
        }
    }
}
