//! The configuration file: its shape, and where in it a mistake is. What may be in it stands in docs/usher.example.toml.

use std::{fmt, net::IpAddr, path::PathBuf};

use ipnetwork::IpNetwork;
use serde::Deserialize;
use usher_domain::Secret;

/// Longest file read, in bytes. A generous one has a few thousand.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The file. Unknown names are refused: a misspelt setting would else be silently without effect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients connect.
    #[serde(default)]
    pub listen: Listen,
    /// The server's certificate.
    pub tls: Tls,
    /// Where the records are.
    pub store: Store,
    /// The key under which they are sealed.
    pub master_key: MasterKey,
    /// Whether to refuse to serve without a cryptographic module in FIPS mode.
    #[serde(default)]
    pub require_fips: bool,
    /// The management API.
    #[serde(default)]
    pub admin: Admin,
    /// Whose tokens open the management API besides its own.
    pub oidc: Option<Oidc>,
    /// The device endpoint's name, as the management API tells it.
    pub device_host: String,
    /// A service made through the management API gets the host name `{name}.{service_domain}`; `device_host` where it is left out.
    pub service_domain: Option<String>,
    /// PEM files of CAs that linked hubs may have their certificates from, beside the machine's roots.
    #[serde(default)]
    pub hub_trust: Vec<PathBuf>,
    /// PEM files of CAs that allocation webhooks may have their certificates from, beside the machine's roots.
    #[serde(default)]
    pub webhook_trust: Vec<PathBuf>,
    /// A latency table for allocation by lowest latency.
    pub latency: Option<PathBuf>,
    /// The limits of services that are made from now on.
    #[serde(default)]
    pub limits: Limits,
    /// Seconds for open requests and operations to end once the server is told to stop.
    #[serde(default = "drain_seconds")]
    pub drain_seconds: u64,
    /// Seconds between the word that the server is to stop and its doors closing, in which `/ready` says no.
    #[serde(default)]
    pub drain_delay_seconds: u64,
    /// Names of hubs inside this installation.
    #[serde(default)]
    pub embedded_hubs: Vec<String>,
    /// A provisioning service that is made where there is none of its name.
    pub service: Option<Service>,
}

/// The limits that a service is made with.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Limits {
    /// The cloud's documented ones.
    #[default]
    Dps,
    /// None.
    None,
}

/// Sockets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Addresses of this machine.
    pub addresses: Vec<IpAddr>,
    /// HTTPS and WebSockets; 0 takes any free one, as for the others.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtts: u16,
    /// AMQP over TLS.
    pub amqps: u16,
    /// Networks of load balancers that begin each connection with a PROXY header.
    pub proxies: Vec<IpNetwork>,
    /// Connections that one address may have at a time; 0 is no limit.
    pub connections_per_address: u32,
    /// New connections of one address in a second; 0 is no limit.
    pub new_connections_per_address: u32,
}

impl Default for Listen {
    fn default() -> Self {
        let addresses = vec![IpAddr::from([0; 4]), IpAddr::from([0_u16; 8])];
        Self {
            addresses,
            https: 443,
            mqtts: 8883,
            amqps: 5671,
            proxies: Vec::new(),
            // A plant behind one address gets in; one address does not take all of a node's places.
            connections_per_address: 10_000,
            new_connections_per_address: 1_000,
        }
    }
}

/// PEM files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
}

/// One of the three addresses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `embedded:FOLDER` or `postgres://…`.
    pub address: Option<Secret>,
    /// A file with it.
    pub address_file: Option<PathBuf>,
    /// An environment variable with it.
    pub address_env: Option<String>,
    /// A file with the database's password.
    pub password_file: Option<PathBuf>,
    /// An environment variable with it.
    pub password_env: Option<String>,
}

/// One of file, env and pkcs11; and others that open, too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasterKey {
    /// A file that only its owner may read.
    pub file: Option<PathBuf>,
    /// An environment variable.
    pub env: Option<String>,
    /// A token that it never leaves.
    pub pkcs11: Option<Pkcs11>,
    /// Keys that open what they wrapped, while one key takes over from another.
    #[serde(default)]
    pub others: Vec<MasterKey>,
}

/// A key in a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11 {
    /// The maker's library.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label.
    pub key: String,
    /// A file with the user PIN.
    pub pin_file: Option<PathBuf>,
    /// An environment variable with it.
    pub pin_env: Option<String>,
}

/// At most one; without, nobody gets in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// A file with the bearer token.
    pub token_file: Option<PathBuf>,
    /// An environment variable with it.
    pub token_env: Option<String>,
}

/// An OpenID Connect issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Its URL, as its tokens have it in `iss`.
    pub issuer: String,
    /// What its tokens must have in `aud`.
    pub audience: String,
    /// A claim that they must have, `NAME=VALUE`.
    pub claim: Option<String>,
    /// Files with CAs of the issuer.
    #[serde(default)]
    pub trust: Vec<PathBuf>,
}

/// A provisioning service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What its devices are flashed with; generated where it is left out.
    pub id_scope: Option<String>,
    /// The name of its service API.
    pub host_name: String,
    /// Hubs that are linked.
    #[serde(default)]
    pub hubs: Vec<Hub>,
}

/// A linked hub: one of the three.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// The name of one of the `embedded_hubs`.
    pub embedded: Option<String>,
    /// An IoT Hub's connection string, or a broker's URL.
    pub connection: Option<Secret>,
    /// An environment variable with it.
    pub connection_env: Option<String>,
    /// For allocation by latency.
    #[serde(default = "region")]
    pub region: String,
}

fn drain_seconds() -> u64 {
    10
}

fn region() -> String {
    "local".into()
}

/// A mistake in the file. It never shows a value, which may be a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// The line, counted from 1; 0 where it is the file as a whole.
    pub line: usize,
    /// The setting, for example `store.address`, where it is known.
    pub key: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.as_str()) {
            (0, "") => f.write_str(&self.why),
            (0, key) => write!(f, "{key}: {}", self.why),
            (line, "") => write!(f, "line {line}: {}", self.why),
            (line, key) => write!(f, "line {line}, {key}: {}", self.why),
        }
    }
}

/// Reads the file's text.
pub fn parse(text: &str) -> Result<Config, Mistake> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(0, |span| line_at(text, span.start));
        let name = text.lines().nth(line.wrapping_sub(1)).and_then(|line| line.split_once('=')).map(|(name, _)| name.trim().to_owned());
        let section = section_at(text, line);
        let key = match (section, name) {
            (Some(section), Some(name)) => format!("{section}.{name}"),
            (section, name) => name.or(section).unwrap_or_default(),
        };
        Mistake { line, key, why: without_value(error.message()) }
    })
}

/// The parser's words without the value that some of them quote: it may be a secret.
fn without_value(words: &str) -> String {
    let first = words.lines().next().unwrap_or_default();
    match first {
        _ if first.contains("invalid type: string") => "a text where something else is expected".into(),
        _ if first.contains("unknown variant") => {
            first.rsplit_once("expected ").map_or_else(|| "unknown value".into(), |(_, allowed)| format!("must be {allowed}"))
        }
        _ => first.to_owned(),
    }
}

/// A mistake in a setting that the parser took, with the line it stands in.
pub fn mistake(text: &str, key: &str, why: impl Into<String>) -> Mistake {
    let (section, name) = key.rsplit_once('.').map_or((None, key), |(section, name)| (Some(section), name));
    let is = |line: usize, candidate: &str| {
        let named = candidate.split_once('=').is_some_and(|(found, _)| found.trim() == name);
        named && section_at(text, line).as_deref() == section
    };
    let found = (1..).zip(text.lines()).find(|(line, candidate)| is(*line, candidate)).map(|(line, _)| line);
    let header = || (1..).zip(text.lines()).find(|(_, line)| section.is_some() && header_of(line) == section).map(|(line, _)| line);
    Mistake { line: found.or_else(header).unwrap_or_default(), key: key.to_owned(), why: why.into() }
}

fn line_at(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// The section that a line belongs to.
fn section_at(text: &str, line: usize) -> Option<String> {
    text.lines().take(line).filter_map(header_of).last().map(str::to_owned)
}

fn header_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split(']').next().map(|name| name.trim_start_matches('[').trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LEAST: &str = "device_host = \"dps.example.com\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"\n[store]\naddress = \"embedded:/s\"\n\
        [master_key]\nfile = \"m\"\n";

    #[test]
    fn the_example_can_be_read() {
        let config = parse(include_str!("../../../../docs/usher.example.toml")).unwrap();
        assert!(config.store.password_env.is_some() && config.service.is_some_and(|service| service.hubs.len() == 1));
    }

    #[test]
    fn the_least_file_has_defaults() {
        let config = parse(LEAST).unwrap();
        assert_eq!((config.listen.https, config.listen.mqtts, config.listen.amqps), (443, 8883, 5671));
        assert_eq!((config.listen.addresses.len(), config.drain_seconds), (2, 10));
        assert!(config.service.is_none() && config.embedded_hubs.is_empty());
        assert!(config.hub_trust.is_empty() && config.webhook_trust.is_empty() && matches!(config.limits, Limits::Dps));
        assert!(matches!(parse(&format!("limits = \"none\"\n{LEAST}")).unwrap().limits, Limits::None));
    }

    #[test]
    fn mistakes_are_told_by_line_and_key_and_without_values() {
        let cases = [
            (LEAST.replace("file = ", "fiel = "), 8, "master_key.fiel", "unknown field"),
            (format!("{LEAST}[listen]\nhttps = \"s3cret\"\n"), 10, "listen.https", "a text where"),
            (format!("{LEAST}[listen]\nmqtts = 70000\n"), 10, "listen.mqtts", "70000"),
            (format!("{LEAST}[service]\nname = \"x\"\n"), 9, "service", "missing field `host_name`"),
            (format!("limits = \"s3cret\"\n{LEAST}"), 1, "limits", "`dps` or `none`"),
            (LEAST.replace("device_host = ", "devicehost = "), 1, "devicehost", "unknown field"),
            (LEAST.replace("[store]", "[store"), 5, "", ""),
        ];
        for (text, line, key, why) in cases {
            let found = parse(&text).unwrap_err();
            assert_eq!(found.line, line, "{found}");
            assert!(found.key.contains(key) && found.why.contains(why) && !found.to_string().contains("s3cret"), "{found}");
        }
    }

    #[test]
    fn a_setting_is_found_in_its_section() {
        let at = |key: &str| mistake(LEAST, key, "x").line;
        assert_eq!((at("store.address"), at("tls.key"), at("device_host"), at("store.password_env"), at("nowhere.x")), (6, 4, 1, 5, 0));
    }
}
