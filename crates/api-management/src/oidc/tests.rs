//! Tokens that open the API, and all the ones that must not.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use usher_domain::clock::ManualClock;

use super::{
    fake::{FakeKeys, SigningKey, encode},
    *,
};

const NOW: i64 = 1_780_272_000;
const ISSUER: &str = "https://id.example/realms/works";

struct World {
    oidc: Oidc,
    keys: Arc<FakeKeys>,
    clock: Arc<ManualClock>,
}

fn world(key: &SigningKey, claim: Option<(&str, &str)>) -> World {
    let keys = Arc::new(FakeKeys::default());
    keys.publish(&[key.jwk("k1")]);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    let claim = claim.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = OidcSettings { issuer: ISSUER.into(), audience: "usher".into(), claim };
    World { oidc: Oidc::new(settings, keys.clone(), clock.clone()), keys, clock }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "usher", "sub": "ann", "iat": NOW, "nbf": NOW, "exp": NOW + 600 })
}

fn head(key: &SigningKey, id: &str) -> Value {
    json!({ "typ": "JWT", "alg": key.algorithm(), "kid": id })
}

fn good(key: &SigningKey, id: &str) -> String {
    key.token(&head(key, id), &claims())
}

#[tokio::test]
async fn tokens_of_the_issuer_open_it_by_both_algorithms() {
    for key in [SigningKey::rsa(), SigningKey::p256()] {
        let world = world(&key, None);
        assert_eq!(world.oidc.verify(&good(&key, "k1")).await.map(drop), Ok(()));
        let mut several = claims();
        several["aud"] = json!(["other", "usher"]);
        assert_eq!(world.oidc.verify(&key.token(&head(&key, "k1"), &several)).await.map(drop), Ok(()));
        let no_id = json!({ "alg": key.algorithm() });
        assert_eq!(world.oidc.verify(&key.token(&no_id, &claims())).await.map(drop), Ok(()), "there is one key only");
        assert_eq!(world.keys.asked(), 1);
    }
}

#[tokio::test]
async fn wrong_claims_are_told_apart_within_the_leeway() {
    let key = SigningKey::p256();
    let world = world(&key, None);
    let cases = [
        ("iss", json!("https://id.example/realms/works/"), Err(Rejection::Issuer)),
        ("iss", Value::Null, Err(Rejection::Issuer)),
        ("aud", json!("usher2"), Err(Rejection::Audience)),
        ("aud", json!([["usher"]]), Err(Rejection::Audience)),
        ("exp", json!(NOW - 60), Err(Rejection::Expired)),
        ("exp", json!(NOW - 59), Ok(())),
        ("exp", Value::Null, Err(Rejection::Expired)),
        ("exp", json!("9999999999"), Err(Rejection::Expired)),
        ("nbf", json!(NOW + 61), Err(Rejection::NotYet)),
        ("nbf", json!("soon"), Err(Rejection::NotYet)),
        ("nbf", json!(NOW + 60), Ok(())),
    ];
    for (name, value, expected) in cases {
        let mut changed = claims();
        changed[name] = value.clone();
        assert_eq!(world.oidc.verify(&key.token(&head(&key, "k1"), &changed)).await.map(drop), expected, "{name} {value}");
    }
}

#[tokio::test]
async fn forged_signatures_are_refused_whatever_the_header_says() {
    for key in [SigningKey::rsa(), SigningKey::p256()] {
        let world = world(&key, None);
        let signed =
            |algorithm: &str| format!("{}.{}", encode(json!({ "alg": algorithm, "kid": "k1" }).to_string()), encode(claims().to_string()));
        let none = signed("none");
        for token in [format!("{none}."), format!("{}.", signed("None")), signed("HS256") + "." + &encode("x")] {
            assert_eq!(world.oidc.verify(&token).await.map(drop), Err(Rejection::Algorithm), "{token}");
        }
        // The published key taken for the secret of an HMAC, raw and as the JWK's text.
        for secret in [key.public(), key.jwk("k1").to_string().into_bytes()] {
            let text = signed("HS256");
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), text.as_bytes());
            assert_eq!(world.oidc.verify(&format!("{text}.{}", encode(mac))).await.map(drop), Err(Rejection::Algorithm));
        }
        let (rest, _) = { good(&key, "k1").rsplit_once('.').map(|(rest, s)| (rest.to_owned(), s.to_owned())).unwrap() };
        for signature in [String::new(), encode([0; 64]), encode([0; 256])] {
            assert_eq!(world.oidc.verify(&format!("{rest}.{signature}")).await.map(drop), Err(Rejection::Signature));
        }
        let other = if key.algorithm() == "RS256" { SigningKey::rsa() } else { SigningKey::p256() };
        assert_eq!(world.oidc.verify(&good(&other, "k1")).await.map(drop), Err(Rejection::Signature), "another's key under this ID");
        let crossed = if key.algorithm() == "RS256" { SigningKey::p256() } else { SigningKey::rsa() };
        assert_eq!(world.oidc.verify(&good(&crossed, "k1")).await.map(drop), Err(Rejection::UnknownKey), "the key is of another kind");
    }
}

#[tokio::test]
async fn what_is_too_long_or_no_token_asks_nobody() {
    let key = SigningKey::p256();
    let world = world(&key, None);
    let mut long = claims();
    long["groups"] = json!("g".repeat(crate::jwt::TOKEN_BYTES_MAX));
    for token in [key.token(&head(&key, "k1"), &long), "a.b.c".into(), String::new()] {
        assert!(matches!(world.oidc.verify(&token).await.map(drop), Err(Rejection::Malformed(_))));
    }
    assert_eq!(world.keys.asked(), 0);
}

#[tokio::test]
async fn rotated_keys_are_fetched_with_a_floor_between() {
    let (old, new) = (SigningKey::rsa(), SigningKey::p256());
    let world = world(&old, None);
    assert_eq!(world.oidc.verify(&good(&old, "k1")).await.map(drop), Ok(()));
    world.keys.publish(&[new.jwk("k2")]);
    for _ in 0..50 {
        assert_eq!(world.oidc.verify(&good(&new, "k2")).await.map(drop), Err(Rejection::UnknownKey), "too soon after the last fetch");
    }
    assert_eq!(world.keys.asked(), 1);
    world.clock.advance_millis(30_000);
    assert_eq!(world.oidc.verify(&good(&new, "k2")).await.map(drop), Ok(()));
    assert_eq!(world.oidc.verify(&good(&old, "k1")).await.map(drop), Err(Rejection::UnknownKey), "it was withdrawn");
    assert_eq!(world.keys.asked(), 2);
}

#[tokio::test]
async fn known_keys_outlive_an_issuer_that_is_down_for_a_day() {
    let key = SigningKey::p256();
    let world = world(&key, None);
    let mut lasting = claims();
    lasting["exp"] = json!(NOW + 10 * STALE_S);
    let token = key.token(&head(&key, "k1"), &lasting);
    assert_eq!(world.oidc.verify(&token).await.map(drop), Ok(()));
    world.keys.go_down();
    world.clock.advance_millis(FRESH_S * 1000);
    assert_eq!(world.oidc.verify(&token).await.map(drop), Ok(()));
    assert_eq!(world.keys.asked(), 2, "it was tried");
    world.clock.advance_millis((STALE_S - FRESH_S) * 1000);
    assert_eq!(world.oidc.verify(&token).await.map(drop), Err(Rejection::Unreachable("it is down".into())));
    world.keys.publish(&[key.jwk("k1")]);
    world.clock.advance_millis(FLOOR_S * 1000);
    assert_eq!(world.oidc.verify(&token).await.map(drop), Ok(()));
}

#[tokio::test]
async fn a_required_claim_is_required() {
    let key = SigningKey::p256();
    let world = world(&key, Some(("roles", "usher-admin")));
    for (roles, expected) in [
        (json!(["reader", "usher-admin"]), Ok(())),
        (json!("usher-admin"), Ok(())),
        (json!(["usher-admin2"]), Err(Rejection::Claim)),
        (Value::Null, Err(Rejection::Claim)),
    ] {
        let mut with = claims();
        with["roles"] = roles;
        assert_eq!(world.oidc.verify(&key.token(&head(&key, "k1"), &with)).await.map(drop), expected);
    }
}

#[test]
fn key_sets_without_a_usable_key_are_told() {
    let weak = json!({ "keys": [{ "kty": "oct", "k": "AAAA" }, { "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB" }, { "kty": "EC", "crv": "P-521" }] });
    for document in ["", "[]", "{}", r#"{"keys":[]}"#, &weak.to_string()] {
        assert!(KeySet::parse(document.as_bytes()).is_err(), "{document}");
    }
}

#[test]
fn a_description_of_another_issuer_is_refused() {
    let document = br#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/keys"}"#;
    assert!(discovery::jwks_uri(ISSUER, document).is_err());
    assert_eq!(discovery::url("https://id.example/"), "https://id.example/.well-known/openid-configuration");
}
