//! The whole conversation with a TPM 2.0: swtpm is the TPM, tpm2-tools do what a device's library does (TPM2_ActivateCredential,
//! TPM2_Import, TPM2_Load, TPM2_HMAC). Each test has a TPM of its own on a loopback port.
#![allow(clippy::unwrap_used)]

mod pki;
mod swtpm;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use swtpm::{EK_ATTRIBUTES, Ek, SRK_ATTRIBUTES, Tpm};
use usher_attestation::{
    SasToken,
    tpm::{Claim, StorageKey, prove, registration_id},
};
use usher_domain::{IdScope, RegistrationId, Timestamp, enrollment::TpmKeys};

const RSA_SRK: &str = "rsa2048:aes128cfb";
const SESSION_KEY: [u8; 32] = *b"the session key of a test of ush";
const HUB_KEY: [u8; 32] = *b"the hub's key of a test of usher";
const EXPIRY_S: i64 = 1_800_000_000;

fn claim(ek: &[u8], srk: &[u8]) -> Claim {
    let enrolled = TpmKeys { endorsement_key: STANDARD.encode(ek), storage_root_key: Some(STANDARD.encode(srk)) };
    Claim::check(ek, srk, &enrolled).unwrap()
}

/// What TPM2_HMAC must give.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::hmac;
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

/// The TPM activates the session key, proves the device with it, then activates the hub's key in its place.
fn goes_all_the_way(tpm: &Tpm, ek: &Ek) {
    let claim = claim(&ek.public, &tpm.srk_public());
    assert_eq!(claim.storage_root_key().name(), tpm.srk_name());
    let id = RegistrationId::parse(&registration_id(claim.endorsement_key())).unwrap();
    let resource = format!("0ne00000001%2Fregistrations%2F{id}");
    tpm.activate(ek, &claim.activation_blob(&SESSION_KEY, "hub.example").unwrap()).unwrap();
    let signature = STANDARD.encode(tpm.hmac(format!("{resource}\n{EXPIRY_S}").as_bytes()).unwrap());
    let text = format!("SharedAccessSignature sr={resource}&sig={}&se={EXPIRY_S}&skn=registration", signature.replace('+', "%2B"));
    let token = SasToken::parse(&text).unwrap();
    let now = Timestamp::from_secs(EXPIRY_S - 60);
    let proven = prove(&token, &IdScope::parse("0ne00000001").unwrap(), &id, &claim, &SESSION_KEY, now).unwrap();
    assert_eq!(proven.registration_id(), &id);
    tpm.activate(ek, &claim.activation_blob(&HUB_KEY, "hub.example").unwrap()).unwrap();
    assert_eq!(tpm.hmac(b"to the hub").unwrap(), hmac(&HUB_KEY, b"to the hub"));
}

#[test]
fn an_rsa_2048_endorsement_key_from_the_default_template() {
    let tpm = Tpm::start("rsa", RSA_SRK);
    goes_all_the_way(&tpm, &tpm.default_ek("rsa"));
}

#[test]
fn a_p_256_endorsement_key_and_a_p_256_storage_root_key() {
    let tpm = Tpm::start("p256", "ecc256:aes128cfb");
    goes_all_the_way(&tpm, &tpm.default_ek("ecc"));
}

#[test]
fn a_p_384_endorsement_key_with_sha_384_and_aes_256() {
    let tpm = Tpm::start("p384", RSA_SRK);
    goes_all_the_way(&tpm, &tpm.ek("ecc384:aes256cfb", "sha384"));
}

#[test]
fn an_rsa_3072_endorsement_key_with_sha_384_and_aes_256() {
    let tpm = Tpm::start("rsa3072", RSA_SRK);
    goes_all_the_way(&tpm, &tpm.ek("rsa3072:aes256cfb", "sha384"));
}

#[test]
fn a_blob_for_another_tpm_is_refused_by_this_one() {
    let (tpm, other) = (Tpm::start("this", RSA_SRK), Tpm::start("other", RSA_SRK));
    let (ek, foreign) = (tpm.default_ek("rsa"), other.default_ek("rsa"));
    let blob = claim(&foreign.public, &tpm.srk_public()).activation_blob(&SESSION_KEY, "x").unwrap();
    assert_eq!(tpm.activate(&ek, &blob).unwrap_err().step, "tpm2_activatecredential");
    let blob = claim(&ek.public, &other.srk_public()).activation_blob(&SESSION_KEY, "x").unwrap();
    assert_eq!(tpm.activate(&ek, &blob).unwrap_err().step, "tpm2_activatecredential", "the credential is bound to the storage root key");
}

#[test]
fn a_blob_changed_on_the_way_is_refused_whichever_part_was_changed() {
    let tpm = Tpm::start("tampered", RSA_SRK);
    let ek = tpm.default_ek("rsa");
    let claim = claim(&ek.public, &tpm.srk_public());
    let whole = claim.activation_blob(&SESSION_KEY, "x").unwrap();
    let steps = ["tpm2_activatecredential", "tpm2_activatecredential", "tpm2_import", "tpm2_import", "tpm2_import"];
    let mut start = 0;
    for (part, step) in steps.iter().enumerate() {
        let size = usize::from(u16::from_be_bytes([whole[start], whole[start + 1]]));
        let mut blob = whole.clone();
        blob[start + 2 + size - 1] ^= 1;
        assert_eq!(tpm.activate(&ek, &blob).unwrap_err().step, *step, "part {}", part + 1);
        start += 2 + size;
    }
    assert!(tpm.activate(&ek, &whole).is_ok());
}

#[test]
fn the_key_cannot_be_taken_out_of_the_tpm_again() {
    let tpm = Tpm::start("duplicate", RSA_SRK);
    let ek = tpm.default_ek("rsa");
    tpm.activate(&ek, &claim(&ek.public, &tpm.srk_public()).activation_blob(&SESSION_KEY, "x").unwrap()).unwrap();
    tpm.run("tpm2_startauthsession", &["--policy-session", "-S", "dup.session"]).unwrap();
    tpm.run("tpm2_policycommandcode", &["-S", "dup.session", "TPM2_CC_Duplicate"]).unwrap();
    let out = ["-C", "null", "-c", "key.ctx", "-G", "null", "-p", "session:dup.session", "-r", "out.priv", "-s", "out.seed"];
    let failed = tpm.run("tpm2_duplicate", &out).unwrap_err();
    assert!(failed.message.contains("a policy check failed"), "{failed:?}");
}

#[test]
fn a_storage_root_key_that_may_leave_the_tpm_is_not_accepted() {
    let tpm = Tpm::start("loose", RSA_SRK);
    let loose = tpm.primary("o", RSA_SRK, "sha256", &SRK_ATTRIBUTES.replace("fixedtpm|fixedparent|", ""), "loose");
    assert!(StorageKey::parse(&loose).is_err());
    let tight = tpm.primary("e", RSA_SRK, "sha256", EK_ATTRIBUTES, "tight");
    assert!(StorageKey::parse(&tight).is_ok());
}
