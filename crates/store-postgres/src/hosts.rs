//! The hosts of an address, of which one is the primary, and which one may change at any time.
//!
//! All are tried at once and the first that proves to be the primary is taken, so that a machine that is gone without a word costs no time.

use std::{future::poll_fn, task::Poll};

use tokio_postgres::config::{Config, Host, TargetSessionAttrs};
use usher_store::BoxFuture;

use crate::fault::{Fault, Kind};

/// The port where an address names none.
const PORT: u16 = 5432;

/// One configuration for each host of this one, which has a name for each.
pub fn each(config: &Config) -> Vec<Config> {
    (0..config.get_hosts().len()).filter_map(|index| only(config, index)).collect()
}

/// The configuration with one of its hosts. It has to take writes: a standby is as good as nothing.
fn only(all: &Config, index: usize) -> Option<Config> {
    let mut one = Config::new();
    match all.get_hosts().get(index)? {
        Host::Tcp(name) => one.host(name.clone()),
        Host::Unix(path) => one.host_path(path),
    };
    let ports = all.get_ports();
    one.port(ports.get(index).or_else(|| ports.first()).copied().unwrap_or(PORT));
    if let Some(address) = all.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    all.get_user().map(|user| one.user(user));
    all.get_password().map(|password| one.password(password));
    all.get_dbname().map(|name| one.dbname(name));
    all.get_options().map(|options| one.options(options));
    all.get_application_name().map(|name| one.application_name(name));
    all.get_connect_timeout().map(|longest| one.connect_timeout(*longest));
    all.get_tcp_user_timeout().map(|longest| one.tcp_user_timeout(*longest));
    all.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    all.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
    one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation()).channel_binding(all.get_channel_binding());
    one.target_session_attrs(TargetSessionAttrs::ReadWrite);
    Some(one)
}

/// Where a host is, for people.
pub fn name(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    format!("{host}:{}", config.get_ports().first().copied().unwrap_or(PORT))
}

/// Does all at once; the first success ends the others. Where all fail, it is worth another try if one of them says so.
pub async fn first<T>(mut attempts: Vec<BoxFuture<'_, Result<T, Fault>>>) -> Result<T, Fault> {
    let mut faults: Vec<Option<Fault>> = attempts.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (attempt, fault) in attempts.iter_mut().zip(&mut faults).filter(|(_, fault)| fault.is_none()) {
            match attempt.as_mut().poll(context) {
                Poll::Ready(Ok(done)) => return Poll::Ready(Ok(done)),
                Poll::Ready(Err(why)) => *fault = Some(why),
                Poll::Pending => {}
            }
        }
        if faults.iter().any(Option::is_none) { Poll::Pending } else { Poll::Ready(Err(together(faults.iter().flatten()))) }
    })
    .await
}

fn together<'a>(faults: impl Iterator<Item = &'a Fault> + Clone) -> Fault {
    let kind = faults.clone().map(|fault| fault.kind).find(|kind| *kind != Kind::Lasting).unwrap_or(Kind::Lasting);
    Fault { kind, text: faults.map(|fault| fault.text.as_str()).collect::<Vec<_>>().join("; ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_host_has_its_own_port_and_all_the_rest() {
        let address = "postgres://u:p@a:1,b:2,c/d?application_name=x&options=-csearch_path%3Dy&connect_timeout=3";
        let hosts = each(&address.parse().unwrap());
        assert_eq!(hosts.iter().map(name).collect::<Vec<_>>(), ["a:1", "b:2", "c:5432"]);
        for host in &hosts {
            assert_eq!((host.get_user(), host.get_password(), host.get_dbname()), (Some("u"), Some(b"p".as_slice()), Some("d")));
            assert_eq!((host.get_application_name(), host.get_options()), (Some("x"), Some("-csearch_path=y")));
            assert_eq!(host.get_connect_timeout().unwrap().as_secs(), 3);
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        let same = each(&"host=a,/run/p port=7 user=u".parse().unwrap());
        assert_eq!(same.iter().map(name).collect::<Vec<_>>(), ["a:7", "/run/p:7"]);
    }

    #[tokio::test]
    async fn the_first_success_counts_and_of_failures_all_are_told() {
        let fails = |kind, text: &'static str| -> BoxFuture<'static, Result<u8, Fault>> {
            Box::pin(async move { Err(Fault { kind, text: text.into() }) })
        };
        let never = || -> BoxFuture<'static, Result<u8, Fault>> { Box::pin(std::future::pending()) };
        assert_eq!(first(vec![never(), fails(Kind::Lasting, "a"), Box::pin(async { Ok(1) })]).await, Ok(1));
        let failed = first(vec![fails(Kind::Lasting, "a"), fails(Kind::Passing, "b")]).await;
        assert_eq!(failed, Err(Fault { kind: Kind::Passing, text: "a; b".into() }));
        assert_eq!(first(vec![fails(Kind::Lasting, "a")]).await.unwrap_err().kind, Kind::Lasting);
    }
}
