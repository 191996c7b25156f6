//! Against a real PKCS#11 module: SoftHSM. It finds its tokens by an environment variable, which a test may not set for itself, so each
//! case runs in a process of its own.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use usher_seal::{HeldKey as _, KeySource as _, MasterKeys, SealError, SecretBytes, TenantKeys};
use usher_seal_pkcs11::{Pin, TokenError, TokenKey, TokenSettings, make_key};

/// Where Debian and others have the module.
const MODULES: &[&str] = &["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"];
/// Where a case finds its folder.
const FOLDER: &str = "USHER_TEST_TOKENS";

fn module() -> PathBuf {
    let found = MODULES.iter().map(Path::new).find(|path| path.exists());
    found.expect("SoftHSM is needed: apt-get install softhsm2").to_owned()
}

fn settings(token: &str, key: &str, pin: &str) -> TokenSettings {
    TokenSettings { module: module(), token: token.into(), key: key.into(), pin: Pin::new(pin) }
}

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).unwrap().into()
}

/// Runs the ignored test of this name with two fresh tokens, `usher` and `other`.
fn with_tokens(case: &str) {
    let folder = std::env::temp_dir().join(format!("usher-token-{case}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("tokens")).unwrap();
    let config = folder.join("softhsm2.conf");
    fs::write(&config, format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.join("tokens").display())).unwrap();
    for token in ["usher", "other"] {
        let mut make = Command::new("softhsm2-util");
        make.env("SOFTHSM2_CONF", &config).args(["--init-token", "--free", "--label", token]);
        let done =
            make.args(["--pin", "1234-right", "--so-pin", "5678-officer"]).output().expect("SoftHSM is needed: apt-get install softhsm2");
        assert!(done.status.success(), "{done:?}");
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let done =
        again.env("SOFTHSM2_CONF", &config).env(FOLDER, &folder).args(["--exact", case, "--ignored", "--nocapture"]).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && told.contains("1 passed"), "{told}");
    fs::remove_dir_all(folder).unwrap();
}

macro_rules! cases {
    ($($outer:ident => $inner:ident),+ $(,)?) => { $(
        #[test]
        fn $outer() {
            with_tokens(stringify!($inner));
        }
    )+ };
}

cases! {
    a_tenants_keys_are_wrapped_and_unwrapped_by_the_token => wraps,
    what_is_wrong_is_said => mistakes,
    a_token_that_comes_back_is_used_again => comes_back,
    many_ask_at_once => many,
}

#[test]
#[ignore = "runs within another test"]
fn wraps() {
    make_key(&settings("usher", "master", "1234-right")).unwrap();
    make_key(&settings("other", "master", "1234-right")).unwrap();
    let (one, other) = (settings("usher", "master", "1234-right"), settings("other", "master", "1234-right"));
    let (one, other) = (one.master_key().unwrap(), other.master_key().unwrap());
    assert_ne!(one.check(), other.check(), "two keys of one label");
    assert_eq!(one.origin(), "token usher, key master");
    assert!(one.to_base64().is_none());
    let keys = TenantKeys::generate().unwrap();
    let wrapped = MasterKeys::from(&one).wrap(&keys, 7).unwrap();
    // Another process, or this one after a restart.
    let again = settings("usher", "master", "1234-right").master_key().unwrap();
    assert_eq!(again.check(), one.check());
    let opened = MasterKeys::from(again).unwrap(7, &wrapped).unwrap();
    assert_eq!(opened.open(b"", &keys.seal(b"", b"text").unwrap()).unwrap(), b"text");
    assert_eq!(MasterKeys::from(&one).unwrap(8, &wrapped).err(), Some(SealError::NotAuthentic), "another tenant's");
    assert_eq!(MasterKeys::from(&other).unwrap(7, &wrapped).err(), Some(SealError::WrongMasterKey));
    assert!(MasterKeys::new(other, vec![one]).unwrap(7, &wrapped).is_ok());
}

#[test]
#[ignore = "runs within another test"]
fn mistakes() {
    let right = settings("usher", "master", "1234-right");
    let why = |settings: &TokenSettings| TokenKey::open(settings).err().unwrap();
    assert!(matches!(why(&TokenSettings { module: "/no/such.so".into(), ..right.clone() }), TokenError::Module { .. }));
    let TokenError::NoToken { label, mut seen } = why(&settings("ushre", "master", "1234-right")) else { panic!("another token") };
    seen.sort();
    assert_eq!((label.as_str(), seen), ("ushre", vec!["other".to_owned(), "usher".to_owned()]));
    assert_eq!(why(&right), TokenError::NoKey { label: "master".into(), seen: Vec::new() });
    make_key(&right).unwrap();
    assert!(matches!(make_key(&right), Err(TokenError::Unfit { why, .. }) if why.contains("already")));
    let TokenError::NoKey { seen, .. } = why(&settings("usher", "maker", "1234-right")) else { panic!("another key") };
    assert_eq!(seen, ["master"]);
    // A session that is logged in lets every PIN pass, so those above are over when this one begins.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let TokenError::PinRefused { token, left } = why(&settings("usher", "master", "4321-wrong")) else { panic!("a wrong PIN opens it") };
    assert!(token == "usher" && left.contains("may be left"), "{left}");
    let config = std::env::var("SOFTHSM2_CONF").unwrap();
    import(&config, "short");
    let unfit = why(&settings("usher", "short", "1234-right"));
    assert!(matches!(&unfit, TokenError::Unfit { why, .. } if why.contains("256 bits")), "{unfit}");
}

/// Imports a key that is too short.
fn import(config: &str, label: &str) {
    let file = folder().join("key");
    fs::write(&file, [7; 16]).unwrap();
    let mut import = Command::new("softhsm2-util");
    let done = import.env("SOFTHSM2_CONF", config).args(["--import", file.to_str().unwrap(), "--aes", "--token", "usher"]);
    let done = done.args(["--label", label, "--id", "A1", "--pin", "1234-right"]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
#[ignore = "runs within another test"]
fn comes_back() {
    let right = settings("usher", "master", "1234-right");
    make_key(&right).unwrap();
    let key = TokenKey::open(&right).unwrap();
    let secret = SecretBytes::generate().unwrap();
    let wrapped = key.wrap(b"place", &secret).unwrap();
    let (there, away) = (folder().join("tokens"), folder().join("away"));
    fs::rename(&there, &away).unwrap();
    fs::create_dir(&there).unwrap();
    let gone = key.unwrap(b"place", &wrapped).err();
    assert!(matches!(gone, Some(SealError::Unreachable(_))), "{gone:?}");
    fs::remove_dir_all(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    assert_eq!(key.unwrap(b"place", &wrapped).unwrap(), secret);
}

#[test]
#[ignore = "runs within another test"]
fn many() {
    let right = settings("usher", "master", "1234-right");
    make_key(&right).unwrap();
    let key = TokenKey::open(&right).unwrap();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..32_u8)
            .map(|n| {
                let key = &key;
                scope.spawn(move || {
                    let secret = SecretBytes::from_slice(&[n; 32]).unwrap();
                    let wrapped = key.wrap(&[n], &secret).unwrap();
                    assert_eq!(key.unwrap(&[n], &wrapped).unwrap(), secret);
                    assert_eq!(key.unwrap(&[n ^ 1], &wrapped).err(), Some(SealError::NotAuthentic));
                })
            })
            .collect();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
    });
}
