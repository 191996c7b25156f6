//! The configuration with everything it points to: files and variables read, names checked. From here on nothing is left to be wrong
//! but the world.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use usher_api_management::oidc::OidcSettings;
use usher_domain::{HubName, IdScope, Secret, service::HubConnection, service_limits::ServiceLimits};
use usher_seal::MasterKeys;

use super::config::{
    Config, FILE_BYTES_MAX, Hub, Limits, Listen, MasterKey as MasterKeySection, Mistake, Oidc, Service, Tls, mistake, parse,
};
use super::master_keys;
use crate::oidc::{OidcOptions, parse_claim};

/// Shortest bearer token, in characters: half of what `openssl rand -hex 32` gives.
const TOKEN_CHARS_MIN: usize = 32;
/// Longest secret in a file or variable, in bytes.
const SECRET_BYTES_MAX: u64 = 4096;
/// Longest drain, in seconds: longer than any operation's lease there is nothing to wait for.
const DRAIN_MAX_S: u64 = 300;

/// What a server is started with.
pub struct Settings {
    /// Sockets.
    pub listen: Listen,
    /// Certificate files.
    pub tls: Tls,
    /// The store.
    pub store: StoreAddress,
    /// Its keys.
    pub masters: MasterKeys,
    /// Whether it is refused to serve without FIPS mode.
    pub require_fips: bool,
    /// The management API's token.
    pub admin: Option<Secret>,
    /// Whose tokens open it too.
    pub oidc: Option<OidcOptions>,
    /// The device endpoint's name.
    pub device_host: String,
    /// What host names of services made later end in.
    pub service_domain: String,
    /// Files with CAs of linked hubs.
    pub hub_trust: Vec<PathBuf>,
    /// Files with CAs of webhooks.
    pub webhook_trust: Vec<PathBuf>,
    /// The latency table's file.
    pub latency: Option<PathBuf>,
    /// Limits of services that are made.
    pub limits: ServiceLimits,
    /// Time to drain.
    pub drain: Duration,
    /// Time for load balancers to notice, before that.
    pub drain_delay: Duration,
    /// Hubs inside this installation.
    pub embedded_hubs: Vec<HubName>,
    /// The service to make.
    pub service: Option<FirstService>,
}

/// Where the records are.
pub enum StoreAddress {
    /// In a folder, for one node.
    Embedded(PathBuf),
    /// In a database, for many.
    Postgres {
        /// Its address.
        address: Secret,
        /// Its password, if that is not in the address.
        password: Option<Secret>,
    },
}

/// A service to make where there is none of its name.
pub struct FirstService {
    /// Its name.
    pub name: String,
    /// Its ID scope, if the operator chose one.
    pub id_scope: Option<IdScope>,
    /// The name of its API.
    pub host_name: String,
    /// The limits it is made with. A service that is there keeps its own.
    pub limits: ServiceLimits,
    /// Its hubs, by name, with how they are reached and their regions.
    pub hubs: Vec<(HubName, HubConnection, String)>,
}

/// Reads the file and all that it points to.
pub fn read(path: &Path) -> Result<Settings, Mistake> {
    let whole = |why: String| Mistake { line: 0, key: String::new(), why };
    let text = read_text(path, FILE_BYTES_MAX).map_err(whole)?;
    resolve(parse(&text)?, &text)
}

/// Of a configuration only the store and its keys, for copies: nothing is made, and nothing else need be right.
pub struct StoreOf {
    /// Where the records are.
    pub address: StoreAddress,
    /// The file that the current key is in, where it is in one.
    pub key_file: Option<PathBuf>,
    section: MasterKeySection,
    text: String,
}

impl StoreOf {
    /// The keys: from files, variables and tokens.
    pub fn masters(&self) -> Result<MasterKeys, Mistake> {
        master_keys::open_made(&self.section, &self.text)
    }
}

/// Reads the file's store and where its keys are.
pub fn read_store(path: &Path) -> Result<StoreOf, Mistake> {
    let text = read_text(path, FILE_BYTES_MAX).map_err(|why| Mistake { line: 0, key: String::new(), why })?;
    let config = parse(&text)?;
    Ok(StoreOf { address: store(&config, &text)?, key_file: config.master_key.file.clone(), section: config.master_key, text })
}

/// The master keys alone, read anew. None is made: a server that runs has one.
pub fn read_masters(path: &Path) -> Result<MasterKeys, Mistake> {
    let whole = |why: String| Mistake { line: 0, key: String::new(), why };
    let text = read_text(path, FILE_BYTES_MAX).map_err(whole)?;
    master_keys::open_made(&parse(&text)?.master_key, &text)
}

fn issuer(section: &Oidc) -> Result<OidcOptions, String> {
    let claim = section.claim.as_deref().map(parse_claim).transpose()?;
    let settings = OidcSettings { issuer: section.issuer.clone(), audience: section.audience.clone(), claim };
    Ok(OidcOptions { settings, trust: section.trust.clone() })
}

fn resolve(config: Config, text: &str) -> Result<Settings, Mistake> {
    let wrong = |key: &str, why: String| mistake(text, key, why);
    let store = store(&config, text)?;
    let admin = secret(config.admin.token_file.as_deref(), config.admin.token_env.as_deref());
    let admin = admin.map_err(|why| wrong("admin.token_file", why))?;
    if admin.as_ref().is_some_and(|token| token.expose().len() < TOKEN_CHARS_MIN) {
        let why = format!("the token has fewer than {TOKEN_CHARS_MIN} characters; `openssl rand -hex 32` makes one");
        return Err(wrong("admin.token_file", why));
    }
    if config.drain_seconds > DRAIN_MAX_S {
        return Err(wrong("drain_seconds", format!("at most {DRAIN_MAX_S}")));
    }
    if config.drain_delay_seconds > DRAIN_MAX_S {
        return Err(wrong("drain_delay_seconds", format!("at most {DRAIN_MAX_S}")));
    }
    if config.listen.addresses.is_empty() {
        return Err(wrong("listen.addresses", "there must be at least one".into()));
    }
    let embedded_hubs = config.embedded_hubs.iter().map(|name| HubName::parse(name).map_err(|why| wrong("embedded_hubs", why.to_string())));
    let embedded_hubs = embedded_hubs.collect::<Result<Vec<_>, _>>()?;
    let limits = match config.limits {
        Limits::Dps => ServiceLimits::DPS,
        Limits::None => ServiceLimits::NONE,
    };
    let oidc = config.oidc.as_ref().map(|oidc| issuer(oidc).map_err(|why| wrong("oidc.claim", why))).transpose()?;
    let service = config.service.as_ref().map(|service| first_service(service, &embedded_hubs, limits, text)).transpose()?;
    Ok(Settings {
        masters: master_keys::open(&config.master_key, &store, text)?,
        require_fips: config.require_fips,
        store,
        admin,
        oidc,
        embedded_hubs,
        service,
        listen: config.listen,
        tls: config.tls,
        service_domain: config.service_domain.unwrap_or_else(|| config.device_host.clone()),
        hub_trust: config.hub_trust,
        webhook_trust: config.webhook_trust,
        latency: config.latency,
        limits,
        device_host: config.device_host,
        drain: Duration::from_secs(config.drain_seconds),
        drain_delay: Duration::from_secs(config.drain_delay_seconds),
    })
}

fn store(config: &Config, text: &str) -> Result<StoreAddress, Mistake> {
    let wrong = |why: String| mistake(text, "store.address", why);
    let from = &config.store;
    let elsewhere = secret(from.address_file.as_deref(), from.address_env.as_deref()).map_err(wrong)?;
    let address = match (&from.address, elsewhere) {
        (Some(_), Some(_)) => return Err(wrong("give one of address, address_file and address_env".into())),
        (Some(address), None) => address.clone(),
        (None, Some(address)) => address,
        (None, None) => return Err(wrong("no address; write embedded:FOLDER or postgres://USER@HOST/NAME".into())),
    };
    if let Some(folder) = address.expose().strip_prefix("embedded:") {
        return Ok(StoreAddress::Embedded(folder.into()));
    }
    let password = secret(from.password_file.as_deref(), from.password_env.as_deref());
    let password = password.map_err(|why| mistake(text, "store.password_file", why))?;
    let scheme = ["postgres://", "postgresql://"].iter().any(|scheme| address.expose().starts_with(scheme));
    if scheme { Ok(StoreAddress::Postgres { address, password }) } else { Err(wrong("write embedded:FOLDER or postgres://…".into())) }
}

fn first_service(service: &Service, embedded: &[HubName], limits: ServiceLimits, text: &str) -> Result<FirstService, Mistake> {
    let scope = service.id_scope.as_deref().map(IdScope::parse).transpose();
    let id_scope = scope.map_err(|why| mistake(text, "service.id_scope", why.to_string()))?;
    let hubs = service.hubs.iter().map(|hub| linked(hub, embedded).map_err(|why| mistake(text, "service.hubs", why)));
    let hubs = hubs.collect::<Result<_, _>>()?;
    Ok(FirstService { name: service.name.clone(), id_scope, host_name: service.host_name.clone(), limits, hubs })
}

fn linked(hub: &Hub, embedded: &[HubName]) -> Result<(HubName, HubConnection, String), String> {
    let elsewhere = secret(None, hub.connection_env.as_deref())?;
    let (name, connection) = match (&hub.embedded, &hub.connection, elsewhere) {
        (Some(name), None, None) => {
            let name = HubName::parse(name).map_err(|why| why.to_string())?;
            if !embedded.contains(&name) {
                return Err(format!("{name} is not among embedded_hubs"));
            }
            (name, HubConnection::Embedded)
        }
        (None, Some(text), None) => HubConnection::parse(text.expose()).map_err(|why| why.to_string())?,
        (None, None, Some(text)) => HubConnection::parse(text.expose()).map_err(|why| why.to_string())?,
        _ => return Err("each hub has one of embedded, connection and connection_env".into()),
    };
    Ok((name, connection, hub.region.clone()))
}

/// A secret that stands elsewhere: in a file or in an environment variable.
pub fn secret(file: Option<&Path>, variable: Option<&str>) -> Result<Option<Secret>, String> {
    let text = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(path), None) => read_text(path, SECRET_BYTES_MAX)?,
        (None, Some(name)) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?,
        (Some(_), Some(_)) => return Err("give a file or a variable, not both".into()),
    };
    let text = text.trim();
    if text.is_empty() { Err("it is empty".into()) } else { Ok(Some(Secret::new(text))) }
}

fn read_text(path: &Path, longest: u64) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(longest + 1).read_to_string(&mut text));
    read.map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
    if text.len() as u64 > longest { Err(format!("{} is longer than {longest} bytes", path.display())) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Cargo sets this one for tests; it is no key and shorter than a token.
    const SET: &str = "CARGO_PKG_NAME";

    fn settings(folder: &Path, change: impl Fn(String) -> String) -> Result<Settings, Mistake> {
        let text = format!(
            "device_host = \"dps.example.com\"\nembedded_hubs = [\"hub.example\"]\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n[store]\n\
             address = \"embedded:{0}/store\"\n[master_key]\nfile = \"{0}/master.key\"\n[service]\nname = \"s\"\nhost_name = \"h.example\"\n\
             hubs = [{{ embedded = \"hub.example\" }}]\n",
            folder.display()
        );
        let path = folder.join("usher.toml");
        std::fs::write(&path, change(text)).unwrap();
        read(&path)
    }

    #[test]
    fn what_the_file_points_to_is_read_and_what_is_wrong_is_named() {
        let folder = std::env::temp_dir().join(format!("usher-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let good = settings(&folder, |text| text).unwrap();
        assert!(matches!(good.store, StoreAddress::Embedded(path) if path == folder.join("store")));
        assert!(folder.join("master.key").exists() && good.admin.is_none() && good.service.is_some_and(|service| service.hubs.len() == 1));
        let replaced = |from: &'static str, to: &'static str| move |text: String| text.replace(from, to);
        let cases = [
            settings(&folder, replaced("address = \"embedded:", "address = \"redis:")).err().map(|m| (m, 7, "postgres://")),
            settings(&folder, replaced("file = ", "env = \"CARGO_PKG_NAME\"\n#")).err().map(|m| (m, 9, "base64 of 32 bytes")),
            settings(&folder, |text| format!("{text}[admin]\ntoken_env = \"{SET}\"\n")).err().map(|m| (m, 14, "fewer than 32")),
            settings(&folder, replaced("{ embedded = \"hub.example\" }", "{ embedded = \"else.example\" }"))
                .err()
                .map(|m| (m, 13, "embedded_hubs")),
            settings(&folder, replaced("host_name = ", "id_scope = \"0 1\"\nhost_name = ")).err().map(|m| (m, 12, "")),
            settings(&folder, |text| format!("{text}[oidc]\nissuer = \"https://i\"\naudience = \"a\"\nclaim = \"roles\"\n"))
                .err()
                .map(|m| (m, 17, "NAME=VALUE")),
            settings(&folder, |text| format!("drain_seconds = 301\n{text}")).err().map(|m| (m, 1, "at most 300")),
        ];
        for (n, case) in cases.into_iter().enumerate() {
            let (mistake, line, why) = case.unwrap_or_else(|| panic!("case {n} passes"));
            assert!(mistake.line == line && mistake.why.contains(why), "case {n}: {mistake}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
