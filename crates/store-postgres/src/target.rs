//! Where the database is and how it is reached: the address that an operator writes.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use tokio_postgres::config::{Config, Host, SslMode};

use crate::{OpenError, hosts, tls::Tls};

/// Time to connect to one host, TCP, TLS and log-in. Enough for a distant one, short of a caller's patience.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A silent connection is asked for signs of life after this time, and given up after as much again.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// A database.
#[derive(Clone)]
pub struct Target {
    /// User, password and database at each host, of which one is the primary.
    pub hosts: Vec<Config>,
    /// Which of them was found to be the primary last.
    pub primary: Arc<AtomicUsize>,
    /// `None` where the operator wants none.
    pub tls: Option<Tls>,
}

impl Target {
    /// Reads an address as `libpq` writes it: `postgres://user:password@host:port/name?options`.
    ///
    /// `sslmode` is `disable` or `verify-full`, which is also what `require` and `verify-ca` become: TLS that does not know whom it
    /// talks to protects nothing. Without it, TLS is used except through a Unix socket. `sslrootcert` names a PEM file with the
    /// roots; the system's are trusted without it. The rest is as `tokio-postgres` has it, several hosts included; a host must take
    /// writes, whether `target_session_attrs` says so or not.
    ///
    /// # Errors
    /// Where it cannot be read, or leaves open whether TLS is wanted.
    pub fn parse(address: &str, password: Option<&str>) -> Result<Self, OpenError> {
        let bad = OpenError::Address;
        if !address.starts_with("postgres://") && !address.starts_with("postgresql://") {
            return Err(bad("it does not begin with postgres://".into()));
        }
        let (plain, options) = address.split_once('?').unwrap_or((address, ""));
        let (mut mode, mut roots, mut others) = (None, None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(value.replace("%2F", "/").replace("%2f", "/")),
                _ => others.push(option),
            }
        }
        // The parser's own words may quote what it was given, the password with it.
        let parsed = format!("{plain}?{}", others.join("&")).parse::<Config>();
        let mut config = parsed.map_err(|_| bad("it cannot be read; %-escape special characters in user and password".into()))?;
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let wanted = match mode {
            Some("disable") => false,
            Some("require" | "verify-ca" | "verify-full") => true,
            None => !local,
            Some("allow" | "prefer") => {
                return Err(bad("sslmode must be disable or verify-full; in between there is no protection".into()));
            }
            Some(other) => return Err(bad(format!("there is no sslmode {other}; write disable or verify-full"))),
        };
        if config.get_hosts().is_empty() || config.get_user().is_none() {
            return Err(bad("it names no host or no user".into()));
        }
        if let Some(password) = password {
            config.password(password);
        }
        let tls = if wanted { Some(Tls::new(roots.as_deref()).map_err(bad)?) } else { None };
        config.ssl_mode(if wanted { SslMode::Require } else { SslMode::Disable });
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE / 4).keepalives_retries(4).tcp_user_timeout(KEEPALIVE * 2);
        if config.get_application_name().is_none() {
            config.application_name("usher");
        }
        Ok(Self { hosts: hosts::each(&config), primary: Arc::default(), tls })
    }
}

impl Target {
    /// The same under another name, so that it is not taken for a node.
    pub fn named(&self, name: &str) -> Self {
        let mut target = self.clone();
        for host in &mut target.hosts {
            host.application_name(name);
        }
        target
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_says_who_where_and_whether_tls() {
        let target = Target::parse("postgres://u:p%40@db.example:6432/usher?sslmode=disable", None).unwrap();
        let [host] = target.hosts.as_slice() else { panic!("one host") };
        assert_eq!(host.get_user(), Some("u"));
        assert_eq!(host.get_password(), Some(b"p@".as_slice()));
        assert_eq!((host.get_dbname(), host.get_ports()), (Some("usher"), [6432].as_slice()));
        assert!(target.tls.is_none());
        for address in ["postgres://u@db.example/usher", "postgresql://u@db/usher?sslmode=require", "postgres://u@db/?sslmode=verify-full"]
        {
            assert!(Target::parse(address, None).unwrap().tls.is_some(), "{address}");
        }
        let local = Target::parse("postgres://u@%2Frun%2Fpostgresql/usher", Some("else")).unwrap();
        assert!(local.tls.is_none());
        assert_eq!(local.hosts[0].get_password(), Some(b"else".as_slice()));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_password() {
        let cases = [
            ("mysql://u:secret@h/d", "postgres://"),
            ("postgres://u:secret@h/d?sslmode=prefer", "no protection"),
            ("postgres://u:secret@h/d?sslmode=maybe", "maybe"),
            ("postgres://u:secret@h/d?nonsense=1", "cannot be read"),
            ("postgres://u:secret@h/d?sslrootcert=/no/such/file", "/no/such/file"),
            ("postgres://u:secret@h:x/d", "cannot be read"),
            ("postgres:///d", "no host"),
        ];
        for (address, word) in cases {
            let Err(error) = Target::parse(address, None) else { panic!("{address} passes") };
            let text = error.to_string();
            assert!(text.contains(word) && !text.contains("secret"), "{address}: {text}");
        }
    }
}
