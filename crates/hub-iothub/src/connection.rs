//! A connection string, read once: where a hub is and as whom usher comes.

use std::fmt;

use usher_attestation::sas;
use usher_domain::hub_connection::{ConnectionString, InvalidConnection};

/// Where a hub is and as whom usher comes. Never shows the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// Host name, with a port where it is not 443. SAS tokens name it as it stands.
    pub host: String,
    /// The shared access policy's name.
    pub policy: String,
    key: Vec<u8>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.
    ///
    /// # Errors
    /// Where a member is missing, the host is none or the key is not base64.
    pub fn parse(text: &str) -> Result<Self, InvalidConnection> {
        let ConnectionString { host, policy, key } = ConnectionString::read(text)?;
        // Anything else would end up in another part of the URL.
        let is_host = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'));
        if !is_host {
            return Err(InvalidConnection::new("the HostName is not a host name with or without a port"));
        }
        let key = sas::decode_key(key).map_err(|_| InvalidConnection::new("the SharedAccessKey is not base64"))?;
        Ok(Self { host: host.to_owned(), policy: policy.to_owned(), key: key.to_vec() })
    }

    /// A token for the whole hub, valid until `expiry_s` (seconds since the Unix epoch).
    pub(crate) fn sign(&self, expiry_s: i64) -> String {
        sas::sign(&self.host, &self.key, expiry_s, Some(&self.policy))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_port_stays_with_the_host_and_is_signed() {
        let connection = Connection::parse("HostName=hub.example:8443;SharedAccessKeyName=owner;SharedAccessKey=c2VjcmV0IQ==").unwrap();
        assert_eq!((connection.host.as_str(), connection.policy.as_str()), ("hub.example:8443", "owner"));
        let token = connection.sign(1_700_000_000);
        assert!(token.starts_with("SharedAccessSignature sr=hub.example%3A8443&sig="), "{token}");
        assert!(token.ends_with("&se=1700000000&skn=owner"), "{token}");
        assert!(!format!("{connection:?}").contains("secret"));
    }

    #[test]
    fn what_could_lead_elsewhere_or_is_no_key_is_refused() {
        for host in ["h/path", "h?x", "user@h", "h#f", "h h"] {
            let text = format!("HostName={host};SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0IQ==");
            assert!(Connection::parse(&text).is_err(), "{host}");
        }
        assert!(Connection::parse("HostName=h;SharedAccessKeyName=a;SharedAccessKey=?").is_err());
    }
}
