//! The broker's address: `mosquitto://user:password@host:port`.

use std::fmt;

use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;
use usher_domain::Secret;

/// The port of MQTT over TLS (IANA: secure-mqtt).
const PORT_DEFAULT: u16 = 8883;

/// Where a broker is and as whom usher speaks to it. Always over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As the broker's certificate names it.
    pub host: String,
    /// Its TLS listener.
    pub port: u16,
    /// A client of the plugin that may administer it.
    pub user: String,
    /// That client's password.
    pub password: Secret,
}

/// An address that cannot be used. Never shows the address, which holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAddress(&'static str);

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a broker is named by mosquitto://user:password@host:port", self.0)
    }
}

impl std::error::Error for InvalidAddress {}

impl InvalidAddress {
    /// The address is well formed, but there is no TLS to reach it by.
    pub(crate) const NO_TLS: Self = Self("TLS cannot be set up on this machine");
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// Where a part is missing or malformed, or more follows than a slash.
    pub fn parse(url: &Secret) -> Result<Self, InvalidAddress> {
        let rest = url.expose().strip_prefix("mosquitto://").ok_or(InvalidAddress("the scheme is not mosquitto"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = rest.rsplit_once('@').ok_or(InvalidAddress("there is no user"))?;
        let (user, password) = credentials.split_once(':').ok_or(InvalidAddress("there is no password"))?;
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0).ok_or(InvalidAddress("the port is not one"))?),
            None => (place, PORT_DEFAULT),
        };
        ServerName::try_from(host).map_err(|_| InvalidAddress("the host is not one"))?;
        let (user, password) = (decode(user)?, decode(password)?);
        if user.is_empty() || password.is_empty() {
            return Err(InvalidAddress("user and password must not be empty"));
        }
        Ok(Self { host: host.to_owned(), port, user, password: Secret::new(password) })
    }
}

fn decode(text: &str) -> Result<String, InvalidAddress> {
    if text.contains(['/', '?', '@']) {
        return Err(InvalidAddress("user and password must be percent-encoded"));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| InvalidAddress("user and password must be UTF-8"))?;
    if decoded.contains('\0') { Err(InvalidAddress("user and password must not hold NUL")) } else { Ok(decoded.into_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(url: &str) -> Result<Address, InvalidAddress> {
        Address::parse(&Secret::new(url))
    }

    #[test]
    fn an_address_is_read_in_all_its_parts() {
        let address = parse("mosquitto://ush%40er:p%2Fss%3A%25@broker.example:8884/").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("broker.example", 8884));
        assert_eq!((address.user.as_str(), address.password.expose()), ("ush@er", "p/ss:%"));
        assert_eq!(parse("mosquitto://u:p:q@10.0.0.1").unwrap().port, 8883);
        assert!(!format!("{address:?}").contains("p/ss"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (url, word) in [
            ("mqtt://u:secret@h", "scheme"),
            ("mosquitto://h", "user"),
            ("mosquitto://u@h", "password"),
            ("mosquitto://u:secret@h:x", "port"),
            ("mosquitto://u:secret@h:0", "port"),
            ("mosquitto://u:secret@h/path", "host"),
            ("mosquitto://u:secret@", "host"),
            ("mosquitto://:secret@h", "empty"),
            ("mosquitto://u:sec/ret@h", "percent-encoded"),
            ("mosquitto://u:%ff@h", "UTF-8"),
            ("mosquitto://u:%00@h", "NUL"),
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
