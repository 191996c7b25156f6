//! The master keys that the configuration names: from files, variables and tokens.

use usher_seal::{EnvironmentKey, KeyError, KeyFile, KeySource, MasterKey, MasterKeys};
use usher_seal_pkcs11::{Pin, TokenSettings};

use super::{
    config::{MasterKey as Section, Mistake, Pkcs11, mistake},
    settings::{StoreAddress, secret},
};

/// Keys besides the current one. A rotation has two; more are left over.
const OTHERS_MAX: usize = 8;

/// Opens them. A missing file is made, but only beside a store that is not there yet: a new key would hide that the old one is lost, and
/// a database may have records.
pub fn open(section: &Section, store: &StoreAddress, text: &str) -> Result<MasterKeys, Mistake> {
    let create = matches!(store, StoreAddress::Embedded(folder) if !folder.exists());
    with_others(section, create, text)
}

/// Opens them where all must be there.
pub fn open_made(section: &Section, text: &str) -> Result<MasterKeys, Mistake> {
    with_others(section, false, text)
}

fn with_others(section: &Section, create: bool, text: &str) -> Result<MasterKeys, Mistake> {
    let wrong = |why: &str| mistake(text, "master_key.others", why.to_owned());
    if section.others.len() > OTHERS_MAX {
        return Err(wrong("there can be at most 8"));
    }
    if section.others.iter().any(|other| !other.others.is_empty()) {
        return Err(wrong("others have no others of their own"));
    }
    let current = one(section, create, text, "master_key")?;
    let others = section.others.iter().map(|other| one(other, false, text, "master_key.others"));
    Ok(MasterKeys::new(current, others.collect::<Result<_, _>>()?))
}

fn one(section: &Section, create: bool, text: &str, place: &str) -> Result<MasterKey, Mistake> {
    let listed = place.ends_with("others");
    let wrong = |name: &str, why: String| mistake(text, if listed { place.to_owned() } else { format!("{place}.{name}") }.as_str(), why);
    let plain = |name: &str, key: Result<MasterKey, KeyError>| {
        key.map_err(|why| wrong(name, format!("{why} (`openssl rand -base64 32` makes a key; all nodes need the same)")))
    };
    match (&section.file, &section.env, &section.pkcs11) {
        (Some(path), None, None) => plain("file", KeyFile { path: path.clone(), create }.master_key()),
        (None, Some(variable), None) => plain("env", EnvironmentKey { variable: variable.clone() }.master_key()),
        (None, None, Some(token)) => {
            let settings = in_token(token).map_err(|why| wrong("pkcs11", why))?;
            settings.master_key().map_err(|why| wrong("pkcs11", why.to_string()))
        }
        _ => Err(wrong("file", "give one of file, env and pkcs11".into())),
    }
}

fn in_token(section: &Pkcs11) -> Result<TokenSettings, String> {
    let pin = secret(section.pin_file.as_deref(), section.pin_env.as_deref()).map_err(|why| format!("the PIN: {why}"))?;
    let pin = pin.ok_or("give the PIN by pin_file or pin_env")?;
    let (token, key) = (section.token.clone(), section.key.clone());
    Ok(TokenSettings { module: section.module.clone(), token, key, pin: Pin::new(pin.expose()) })
}
