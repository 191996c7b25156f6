//! How a linked hub is reached, and the text by which an operator says so.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HubName, Secret};

/// How a linked hub is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum HubConnection {
    /// The hub inside this process.
    Embedded,
    /// An IoT Hub by its REST API.
    IotHub {
        /// `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`; the host name may carry a port.
        connection_string: Secret,
    },
    /// An MQTT broker with Mosquitto's dynamic-security plugin.
    Mosquitto {
        /// `mosquitto://user:password@host:port`, with TLS; user and password percent-encoded.
        url: Secret,
    },
}

/// Longest connection text, in bytes: a host name, a policy name and a key, with room.
const TEXT_BYTES_MAX: usize = 1024;
/// The scheme of a broker's URL.
const MOSQUITTO: &str = "mosquitto://";

/// A connection text that names no hub. Never shows the text, which may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidConnection(&'static str);

impl InvalidConnection {
    /// Says why, in words that hold nothing of the text.
    pub const fn new(why: &'static str) -> Self {
        Self(why)
    }
}

impl fmt::Display for InvalidConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidConnection {}

impl HubConnection {
    /// Reads a connection text, and from it the name under which the hub is linked: its host name without a port.
    ///
    /// # Errors
    /// Where it is neither an IoT Hub's connection string with host name, policy name and key, nor a broker's URL.
    pub fn parse(text: &str) -> Result<(HubName, Self), InvalidConnection> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(InvalidConnection("the connection string is longer than 1024 bytes"));
        }
        match text.strip_prefix(MOSQUITTO) {
            Some(rest) => {
                let authority = rest.split('/').next().unwrap_or_default();
                let (user, host) = authority.rsplit_once('@').ok_or(InvalidConnection("the broker's URL names no user and password"))?;
                if !user.contains(':') {
                    return Err(InvalidConnection("the broker's URL names a user without a password"));
                }
                Ok((name_of(host)?, Self::Mosquitto { url: Secret::new(text) }))
            }
            None => {
                let host = ConnectionString::read(text)?.host;
                Ok((name_of(host)?, Self::IotHub { connection_string: Secret::new(text) }))
            }
        }
    }
}

/// The members of `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.
#[derive(Clone, Copy)]
pub struct ConnectionString<'a> {
    /// The host, with a port where it is not 443.
    pub host: &'a str,
    /// The shared access policy's name.
    pub policy: &'a str,
    /// Its key, base64.
    pub key: &'a str,
}

impl<'a> ConnectionString<'a> {
    /// Reads the members.
    ///
    /// # Errors
    /// Where one is missing or empty.
    pub fn read(text: &'a str) -> Result<Self, InvalidConnection> {
        Ok(Self {
            host: member(text, "HostName").ok_or(InvalidConnection("the connection string has no HostName"))?,
            policy: member(text, "SharedAccessKeyName").ok_or(InvalidConnection("the connection string has no SharedAccessKeyName"))?,
            key: member(text, "SharedAccessKey").ok_or(InvalidConnection("the connection string has no SharedAccessKey"))?,
        })
    }
}

/// A member of `Name=value;…`; names ignore case, values keep any `=` of their own (base64 ends in it).
pub fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(found, value)| found.trim().eq_ignore_ascii_case(name) && !value.is_empty()).map(|(_, value)| value.trim())
}

fn name_of(host: &str) -> Result<HubName, InvalidConnection> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        Some(_) => return Err(InvalidConnection("the port in the host name is not a number below 65536")),
        None => host,
    };
    HubName::parse(name).map_err(|_| InvalidConnection("the host name is not one"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_iot_hub_is_named_by_its_host_without_the_port() {
        let text = "HostName=hub.example:8443;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0IQ==";
        let (name, connection) = HubConnection::parse(text).unwrap();
        assert_eq!(name.as_str(), "hub.example");
        assert_eq!(connection, HubConnection::IotHub { connection_string: Secret::new(text) });
        assert_eq!(member(text, "sharedaccesskey"), Some("c2VjcmV0IQ=="));
    }

    #[test]
    fn a_broker_is_named_by_its_url() {
        let (name, connection) = HubConnection::parse("mosquitto://admin:p%40ss@broker.local:8884").unwrap();
        assert_eq!(name.as_str(), "broker.local");
        assert!(matches!(connection, HubConnection::Mosquitto { .. }));
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_secret_is_shown() {
        for (text, word) in [
            ("", "HostName"),
            ("HostName=h;SharedAccessKey=a", "SharedAccessKeyName"),
            ("HostName=h;SharedAccessKeyName=a;SharedAccessKey=", "SharedAccessKey"),
            ("HostName=h:http;SharedAccessKeyName=a;SharedAccessKey=topsecret", "port"),
            ("mosquitto://broker", "user"),
            ("mosquitto://user@broker", "password"),
        ] {
            let error = HubConnection::parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("topsecret"), "{text}: {error}");
        }
    }
}
