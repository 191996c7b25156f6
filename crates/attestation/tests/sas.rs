//! SAS tokens: what every client library writes is read, and nothing else is believed.
#![allow(clippy::unwrap_used)]

use usher_attestation::{
    CLOCK_SKEW_S, Check, Means, SasError, SasToken,
    sas::{TOKEN_CHARS_MAX, derive_device_key, sign},
    symmetric::{prove_group, prove_individual},
};
use usher_domain::{
    IdScope, RegistrationId, Secret, Timestamp, enrollment::SymmetricKeys, hub_device::DeviceCredential, registration::ProofSummary,
};

/// Base64 of "0123456789abcdef", the key of every token below.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";
const KEY_BYTES: &[u8] = b"0123456789abcdef";
const EXPIRY_S: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_secs(EXPIRY_S - 3_600)
}

fn scope() -> IdScope {
    IdScope::parse("0ne00000001").unwrap()
}

fn device(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

fn keys(primary: &str, secondary: &str) -> SymmetricKeys {
    SymmetricKeys { primary: Secret::new(primary), secondary: Secret::new(secondary) }
}

/// A second key: base64 of sixteen `z`.
const OTHER: &str = "enp6enp6enp6enp6enp6eg==";

/// The signature over `{sr}\n{EXPIRY_S}`, base64, not escaped.
fn signature(sr: &str) -> String {
    use aws_lc_rs::hmac;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY_BYTES);
    STANDARD.encode(hmac::sign(&key, format!("{sr}\n{EXPIRY_S}").as_bytes()))
}

fn escaped(signature: &str, lower: bool) -> String {
    let text = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    if lower { text.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d") } else { text }
}

#[test]
fn tokens_as_each_client_library_writes_them_are_believed() {
    let (c, python, raw) =
        ("0ne00000001%2fregistrations%2fdev-1", "0ne00000001%2Fregistrations%2Fdev-1", "0ne00000001/registrations/dev-1");
    let tokens = [
        ("C, EMB", format!("sr={c}&sig={}&se={EXPIRY_S}&skn=registration", escaped(&signature(c), true))),
        ("Python", format!("sr={python}&sig={}&se={EXPIRY_S}", escaped(&signature(python), false))),
        ("Node with a key", format!("sr={raw}&sig={}&skn=registration&se={EXPIRY_S}", escaped(&signature(raw), false))),
        ("Java", format!("sr={raw}&sig={}&se={EXPIRY_S}&skn=", escaped(&signature(raw), false))),
        (".NET", format!("sr={python}&sig={}&se={EXPIRY_S}&skn=registration", escaped(&signature(python), false))),
        ("signature not escaped", format!("sr={raw}&sig={}&se={EXPIRY_S}", signature(raw))),
        ("padding trimmed", format!("sr={raw}&sig={}&se={EXPIRY_S}", signature(raw).trim_end_matches('='))),
    ];
    for (client, fields) in tokens {
        let token = SasToken::parse(&format!("SharedAccessSignature {fields}")).unwrap();
        assert_eq!(token.resource(), raw, "{client}");
        let proven = prove_individual(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now());
        assert!(proven.is_ok(), "{client}: {proven:?}");
    }
}

#[test]
fn our_own_tokens_are_read_back() {
    let text = sign("hub.example/devices/a b+c", KEY_BYTES, EXPIRY_S, Some("iothubowner"));
    assert!(text.starts_with("SharedAccessSignature sr=hub.example%2Fdevices%2Fa%20b%2Bc&sig="));
    let token = SasToken::parse(&text).unwrap();
    assert_eq!((token.resource(), token.key_name(), token.expiry_s()), ("hub.example/devices/a b+c", Some("iothubowner"), EXPIRY_S));
    assert_eq!(token.verify(KEY_BYTES, now()), Ok(()));
    assert!(token.covers("https://HUB.example/devices/a b+c/twin"));
    assert!(!token.covers("hub.example/devices/a b"));
}

#[test]
fn the_scheme_word_is_read_in_any_case_and_other_fields_are_ignored() {
    let token = format!("sharedaccesssignature sr=a&x=1&sig={}&se={EXPIRY_S}", signature("a"));
    assert_eq!(SasToken::parse(&token).unwrap().verify(KEY_BYTES, now()), Ok(()));
}

#[test]
fn malformed_tokens_name_the_field() {
    let sig = signature("a");
    let long = format!("SharedAccessSignature sr=a&sig={sig}&se={EXPIRY_S}&skn={}", "x".repeat(TOKEN_CHARS_MAX));
    let cases = [
        ("", "prefix"),
        ("Bearer sr=a&sig=AA&se=1", "prefix"),
        ("SharedAccessSignatürë sr=a", "prefix"),
        ("SharedAccessSignature ", "sr"),
        ("SharedAccessSignature sr=&sig=AA==&se=1", "sr"),
        ("SharedAccessSignature sr=%FF&sig=AA==&se=1", "sr"),
        ("SharedAccessSignature sr=a&sr=b&sig=AA==&se=1", "sr"),
        ("SharedAccessSignature sr=a&se=1", "sig"),
        ("SharedAccessSignature sr=a&sig=A&se=1", "sig"),
        ("SharedAccessSignature sr=a&sig=%zz&se=1", "sig"),
        ("SharedAccessSignature sr=a&sig=AA==", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=-1", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=+1", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=1.5", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=99999999999999999999", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=1&se=2", "se"),
        ("SharedAccessSignature sr=a&sig=AA==&se=1&skn=%FF", "skn"),
        ("SharedAccessSignature sr=a&sig=AA==&se=1&skn=a&skn=b", "skn"),
        (long.as_str(), "length"),
    ];
    for (text, field) in cases {
        assert_eq!(SasToken::parse(text).map(|_| ()), Err(SasError::Malformed { field }), "{text}");
    }
}

#[test]
fn a_plus_in_the_signature_stays_a_plus() {
    let sr = (0..200).map(|n| format!("r{n}")).find(|sr| signature(sr).contains('+')).unwrap();
    let token = format!("SharedAccessSignature sr={sr}&sig={}&se={EXPIRY_S}", signature(&sr));
    assert_eq!(SasToken::parse(&token).unwrap().verify(KEY_BYTES, now()), Ok(()));
}

#[test]
fn an_expired_token_tells_by_how_much_once_the_tolerance_is_used_up() {
    let token = SasToken::parse(&sign("a", KEY_BYTES, EXPIRY_S, None)).unwrap();
    assert_eq!(token.verify(KEY_BYTES, Timestamp::from_secs(EXPIRY_S + CLOCK_SKEW_S)), Ok(()));
    let late = Timestamp::from_secs(EXPIRY_S + CLOCK_SKEW_S + 1);
    assert_eq!(token.verify(KEY_BYTES, late), Err(SasError::Expired { by_s: CLOCK_SKEW_S + 1 }));
    assert_eq!(token.verify(b"another key", late), Err(SasError::BadSignature), "only the key's holder learns of the expiry");
}

#[test]
fn a_token_far_in_the_future_is_good() {
    let token = SasToken::parse(&sign("a", KEY_BYTES, i64::MAX, None)).unwrap();
    assert_eq!(token.verify(KEY_BYTES, now()), Ok(()));
    assert_eq!(token.verify(KEY_BYTES, Timestamp::from_secs(i64::MIN)), Ok(()));
}

#[test]
fn debug_output_hides_the_signature() {
    let text = sign("a", KEY_BYTES, EXPIRY_S, None);
    let shown = format!("{:?}", SasToken::parse(&text).unwrap());
    assert!(shown.contains("resource: \"a\"") && !shown.contains("signature"), "{shown}");
}

#[test]
fn the_second_key_is_as_good_as_the_first() {
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", KEY_BYTES, EXPIRY_S, None)).unwrap();
    let proven = prove_individual(&token, &scope(), &device("dev-1"), &keys(OTHER, KEY), now()).unwrap();
    assert_eq!(proven.summary(), ProofSummary::SymmetricKey);
    assert_eq!(
        proven.hub_credential(|| panic!("not a TPM")),
        DeviceCredential::SymmetricKeys { primary: Secret::new(OTHER), secondary: Secret::new(KEY) }
    );
}

#[test]
fn a_token_for_another_device_or_scope_is_refused() {
    for resource in ["0ne00000001/registrations/dev-2", "0ne00000002/registrations/dev-1", "0ne00000001/registrations", "dev-1"] {
        let token = SasToken::parse(&sign(resource, KEY_BYTES, EXPIRY_S, None)).unwrap();
        let refusal = prove_individual(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now()).unwrap_err();
        assert_eq!(refusal.check, Check::TokenResource, "{resource}");
        assert!(refusal.detail.contains("0ne00000001/registrations/dev-1"), "{refusal}");
    }
}

#[test]
fn the_resource_is_compared_without_case() {
    let token = SasToken::parse(&sign("0NE00000001/Registrations/DEV-1", KEY_BYTES, EXPIRY_S, None)).unwrap();
    assert!(prove_individual(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now()).is_ok());
}

#[test]
fn a_token_by_a_strangers_key_is_refused() {
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", b"a stranger's key", EXPIRY_S, None)).unwrap();
    let refusal = prove_individual(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now()).unwrap_err();
    assert_eq!(refusal.check, Check::TokenSignature);
    assert_eq!(refusal.outward().message, "Unauthorized");
}

#[test]
fn an_expired_token_is_refused_with_the_seconds_in_the_log() {
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", KEY_BYTES, EXPIRY_S, None)).unwrap();
    let late = Timestamp::from_secs(EXPIRY_S + 86_400);
    let refusal = prove_individual(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), late).unwrap_err();
    assert_eq!(refusal.check, Check::TokenExpiry);
    assert!(refusal.detail.contains("86400 seconds"), "{refusal}");
}

#[test]
fn an_empty_or_unreadable_enrolled_key_admits_nobody() {
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", b"", EXPIRY_S, None)).unwrap();
    for enrolled in [keys("", ""), keys(OTHER, ""), keys("?", OTHER)] {
        let refusal = prove_individual(&token, &scope(), &device("dev-1"), &enrolled, now()).unwrap_err();
        assert_eq!(refusal.check, Check::EnrolledKey);
    }
}

#[test]
fn a_group_device_proves_itself_with_a_key_derived_from_either_group_key() {
    let derived = derive_device_key(KEY_BYTES, "dev-1");
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", &derived, EXPIRY_S, None)).unwrap();
    for group in [keys(KEY, OTHER), keys(OTHER, KEY)] {
        assert!(prove_group(&token, &scope(), &device("dev-1"), &group, now()).is_ok());
    }
    let refusal = prove_group(&token, &scope(), &device("dev-1"), &keys(OTHER, OTHER), now()).unwrap_err();
    assert_eq!(refusal.check, Check::TokenSignature);
}

#[test]
fn a_group_device_gets_both_of_its_derived_keys_on_the_hub() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let derived = derive_device_key(KEY_BYTES, "dev-1");
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", &derived, EXPIRY_S, None)).unwrap();
    let proven = prove_group(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now()).unwrap();
    let Means::SymmetricKey { keys, .. } = proven.means() else { panic!("{proven:?}") };
    assert_eq!(keys.primary.expose(), STANDARD.encode(derived));
    assert_eq!(keys.secondary.expose(), STANDARD.encode(derive_device_key(b"zzzzzzzzzzzzzzzz", "dev-1")));
}

#[test]
fn the_id_is_derived_from_as_presented_or_in_lower_case() {
    for spelling in ["Dev-A", "dev-a"] {
        let derived = derive_device_key(KEY_BYTES, spelling);
        let token = SasToken::parse(&sign("0ne00000001/registrations/Dev-A", &derived, EXPIRY_S, None)).unwrap();
        let proven = prove_group(&token, &scope(), &device("Dev-A"), &keys(KEY, OTHER), now()).unwrap();
        assert_eq!(proven.registration_id().as_str(), "Dev-A");
    }
    let derived = derive_device_key(KEY_BYTES, "DEV-A");
    let token = SasToken::parse(&sign("0ne00000001/registrations/Dev-A", &derived, EXPIRY_S, None)).unwrap();
    assert!(prove_group(&token, &scope(), &device("Dev-A"), &keys(KEY, OTHER), now()).is_err());
}

#[test]
fn the_group_key_itself_is_not_a_device_key() {
    let token = SasToken::parse(&sign("0ne00000001/registrations/dev-1", KEY_BYTES, EXPIRY_S, None)).unwrap();
    assert_eq!(prove_group(&token, &scope(), &device("dev-1"), &keys(KEY, OTHER), now()).unwrap_err().check, Check::TokenSignature);
}
