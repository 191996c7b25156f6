//! What a probe connects to.

use usher_domain::service::{HubConnection, LinkedHub};

/// The port of an IoT Hub's REST API.
const HTTPS_PORT: u16 = 443;
/// The port of a broker with TLS.
const MQTTS_PORT: u16 = 8883;

/// Where a hub is to be reached for a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// In this process: there is no way to measure.
    Here,
    /// At this host and port.
    Remote(String, u16),
}

/// The probe's target for a hub: where its connection says, else the usual port of its kind.
pub fn target(hub: &LinkedHub) -> Target {
    let (authority, usual) = match &hub.connection {
        HubConnection::Embedded => return Target::Here,
        HubConnection::IotHub { connection_string } => (host_name(connection_string.expose()), HTTPS_PORT),
        HubConnection::Mosquitto { url } => (authority(url.expose()), MQTTS_PORT),
    };
    match authority.rsplit_once(':') {
        Some((host, port)) => Target::Remote(host.to_owned(), port.parse().unwrap_or(usual)),
        None if authority.is_empty() => Target::Remote(hub.name.to_string(), usual),
        None => Target::Remote(authority.to_owned(), usual),
    }
}

fn host_name(connection_string: &str) -> &str {
    let members = connection_string.split(';').filter_map(|member| member.split_once('='));
    members.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("HostName")).map(|(_, host)| host.trim()).unwrap_or_default()
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_connection_names_host_and_port() {
        for (text, host, port) in [
            ("HostName=hub.example;SharedAccessKeyName=o;SharedAccessKey=aa==", "hub.example", 443),
            ("HostName=hub.example:8443;SharedAccessKeyName=o;SharedAccessKey=aa==", "hub.example", 8443),
            ("mosquitto://u:p@broker.example", "broker.example", 8883),
            ("mosquitto://u:p@broker.example:8884/", "broker.example", 8884),
        ] {
            let (name, connection) = HubConnection::parse(text).unwrap();
            let mut hub = LinkedHub { name, region: String::new(), weight: 1, apply_allocation_policy: true, connection };
            assert_eq!(target(&hub), Target::Remote(host.into(), port));
            hub.connection = HubConnection::Embedded;
            assert_eq!(target(&hub), Target::Here);
        }
    }
}
