//! Enrolling a TPM with its maker's certificate: checked on the way in, neither kept nor told.
#![allow(clippy::unwrap_used)]

mod world;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use usher_domain::{ErrorCode, ServiceError, Timestamp};
use usher_registry::{IfMatch, Kind};
use world::{World, document, now, with, world};

const KEY: &[u8] = include_bytes!("../../attestation/tests/data/made_ek_rsa2048.pub");
const OTHER_KEY: &[u8] = include_bytes!("../../attestation/tests/data/ek_rsa2048.pub");
const CERTIFICATE: &[u8] = include_bytes!("../../attestation/tests/data/made_ek_rsa2048.der");
const ISSUER: &[u8] = include_bytes!("../../attestation/tests/data/made_ek_issuer.der");
const ROOT: &[u8] = include_bytes!("../../attestation/tests/data/made_ek_root.der");

/// January 2027: the certificates are valid.
const VALID: Timestamp = Timestamp::from_secs(1_800_000_000);

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn tpm(key: &[u8], certificate: Value) -> Value {
    let tpm = json!({"endorsementKey": STANDARD.encode(key), "endorsementKeyCertificate": certificate});
    json!({"registrationId": "d", "attestation": {"type": "tpm", "tpm": tpm}})
}

fn whole() -> Value {
    json!({"certificate": pem(CERTIFICATE) + &pem(ISSUER), "authorities": pem(ROOT)})
}

async fn put(world: &World, body: Value, at: Timestamp) -> Result<Value, ServiceError> {
    let written = world.tenant.put_enrollment(Kind::Individual, "d", document(body)?, IfMatch::parse(None), at).await?;
    Ok(serde_json::to_value(written).unwrap())
}

#[tokio::test]
async fn a_key_that_its_maker_vouches_for_is_enrolled_as_any_other() {
    let world = world().await;
    let told = put(&world, tpm(KEY, whole()), VALID).await.unwrap();
    assert_eq!(told["attestation"], json!({"type": "tpm", "tpm": {"endorsementKey": STANDARD.encode(KEY)}}));
    let record = with(told, json!({"etag": null, "provisioningStatus": "disabled"}));
    let again = put(&world, record, VALID).await.unwrap();
    assert_eq!(again["provisioningStatus"], "disabled", "what was told can be sent back, without the certificate");
}

#[tokio::test]
async fn a_failed_check_refuses_the_enrollment_and_names_what_failed() {
    let world = world().await;
    let issuer_left_out = json!({"certificate": STANDARD.encode(CERTIFICATE), "authorities": pem(ROOT)});
    for (body, at, named) in [
        (tpm(OTHER_KEY, whole()), VALID, "EndorsementKey: "),
        (tpm(KEY, issuer_left_out), VALID, "IssuerMissing: "),
        (tpm(KEY, whole()), now(), "NotYetValid: "),
        (tpm(KEY, json!({"certificate": pem(CERTIFICATE)})), VALID, "authorities: "),
        (tpm(KEY, json!({})), VALID, "certificate: "),
        (tpm(&[0, 2, 1, 2], whole()), VALID, "endorsementKey cannot be compared"),
        (tpm(KEY, json!("a certificate alone")), VALID, "cannot be read"),
    ] {
        let error = put(&world, body, at).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidBody);
        assert!(error.message.contains(named), "{named}: {}", error.message);
    }
    assert!(world.get(Kind::Individual, "d").await.is_err(), "nothing was enrolled");
}

#[tokio::test]
async fn without_a_certificate_or_with_null_for_it_nothing_is_checked() {
    let world = world().await;
    assert!(put(&world, tpm(OTHER_KEY, Value::Null), VALID).await.is_ok());
}
