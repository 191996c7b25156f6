//! Proofs per second on one core, by kind.
//!
//! `cargo bench -p usher-attestation`

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use usher_attestation::{
    Certificate, SasToken,
    sas::{derive_device_key, sign},
    symmetric,
    tpm::Claim,
    x509,
};
use usher_domain::{
    IdScope, RegistrationId, Secret, Timestamp,
    enrollment::{CertificatePair, SymmetricKeys, TpmKeys},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const SCOPE: &str = "0ne00000001";
const DEVICE: &str = "device-1";
const EXPIRY_S: i64 = 1_800_000_000;
/// Time given to each kind.
const EACH: Duration = Duration::from_millis(700);

fn main() -> Outcome {
    x509_group()?;
    symmetric_key()?;
    tpm()
}

/// Leaf, one intermediate presented, the root enrolled: two signatures, ECDSA P-256.
fn x509_group() -> Outcome {
    let named = |name: &str, ca: bool| -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        if ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        Ok(params)
    };
    let (root_key, line_key, leaf_key) = (KeyPair::generate()?, KeyPair::generate()?, KeyPair::generate()?);
    let (root_params, line_params) = (named("root", true)?, named("line", true)?);
    let root = root_params.self_signed(&root_key)?;
    let line = line_params.signed_by(&line_key, &Issuer::from_params(&root_params, &root_key))?;
    let leaf = named(DEVICE, false)?.signed_by(&leaf_key, &Issuer::from_params(&line_params, &line_key))?;
    let chain = [leaf.der().to_vec(), line.der().to_vec()];
    let enrolled = CertificatePair { primary: Some(Certificate::from_der(root.der())?.stored()), secondary: None };
    let (device, now) = (RegistrationId::parse(DEVICE)?, Timestamp::from_secs(EXPIRY_S));
    measure("X.509 group, leaf + intermediate + enrolled root, P-256", || x509::prove_group(&chain, &device, &enrolled, now).is_ok());
    measure("reading one certificate", || Certificate::from_der(leaf.der()).is_ok());
    Ok(())
}

fn symmetric_key() -> Outcome {
    let key = [7; 64];
    let keys = SymmetricKeys { primary: Secret::new(STANDARD.encode(key)), secondary: Secret::new(STANDARD.encode([8; 64])) };
    let (scope, device, now) = (IdScope::parse(SCOPE)?, RegistrationId::parse(DEVICE)?, Timestamp::from_secs(EXPIRY_S - 60));
    let resource = format!("{SCOPE}/registrations/{DEVICE}");
    let own = sign(&resource, &key, EXPIRY_S, None);
    measure("SAS token, individual, token read each time", || {
        SasToken::parse(&own).is_ok_and(|token| symmetric::prove_individual(&token, &scope, &device, &keys, now).is_ok())
    });
    let derived = sign(&resource, &derive_device_key(&key, DEVICE), EXPIRY_S, None);
    measure("SAS token, group, token read each time", || {
        SasToken::parse(&derived).is_ok_and(|token| symmetric::prove_group(&token, &scope, &device, &keys, now).is_ok())
    });
    let stranger = SasToken::parse(&sign(&resource, &[9; 64], EXPIRY_S, None))?;
    measure("SAS token that a group refuses", || symmetric::prove_group(&stranger, &scope, &device, &keys, now).is_err());
    Ok(())
}

fn tpm() -> Outcome {
    let (ek, srk) = (include_bytes!("../tests/data/ek_rsa2048.pub"), include_bytes!("../tests/data/srk_rsa2048.pub"));
    let enrolled = TpmKeys { endorsement_key: STANDARD.encode(ek), storage_root_key: None };
    measure("TPM challenge, RSA-2048 endorsement key", || {
        Claim::check(ek, srk, &enrolled).and_then(|claim| claim.activation_blob(&[7; 32], "hub.example")).is_ok()
    });
    Ok(())
}

/// Runs `proof` for [`EACH`] and prints the rate; a proof that comes out wrong ends the run.
fn measure(what: &str, proof: impl Fn() -> bool) {
    let started = Instant::now();
    let mut done = 0u32;
    while started.elapsed() < EACH {
        for _ in 0..64 {
            assert!(proof(), "{what}");
        }
        done += 64;
    }
    println!("{what}: {:.0}/s", f64::from(done) / started.elapsed().as_secs_f64());
}
