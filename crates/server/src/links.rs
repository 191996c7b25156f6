//! Links to remote hubs as `usher dev` is told of them on its command line.

use std::{fmt, str::FromStr};

use usher_domain::{
    HubName,
    service::{HubConnection, LinkedHub},
};
use usher_registry::{Directory, Tenant};

use crate::{
    StartError,
    dev::{refused, unreadable},
};

/// The region of a remote hub where none is said.
const REGION_DEFAULT: &str = "remote";

/// A remote hub to link: `REGION=CONNECTION_STRING`, or the connection string alone. Its `Debug` shows no key.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteLink {
    /// The name under which it is linked, and which devices are told.
    pub name: HubName,
    /// Its region.
    pub region: String,
    /// How it is reached.
    pub connection: HubConnection,
}

/// Text that names no remote hub. Never shows the text.
#[derive(Debug)]
pub struct InvalidLink(String);

impl fmt::Display for InvalidLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; it must be [REGION=]HostName=…;SharedAccessKeyName=…;SharedAccessKey=…", self.0)
    }
}

impl std::error::Error for InvalidLink {}

impl FromStr for RemoteLink {
    type Err = InvalidLink;

    /// The region stands first: a connection string may end in any number of `=`.
    fn from_str(text: &str) -> Result<Self, InvalidLink> {
        let (first, rest) = text.split_once('=').unwrap_or_default();
        let (region, connection) = match first {
            "" => (REGION_DEFAULT, text),
            _ if is_connection(text) => (REGION_DEFAULT, text),
            region if is_connection(rest) => (region, rest),
            _ => (REGION_DEFAULT, text),
        };
        let (name, connection) = HubConnection::parse(connection).map_err(|why| InvalidLink(why.to_string()))?;
        Ok(Self { name, region: region.to_owned(), connection })
    }
}

/// Whether the text begins as a connection does, with one of an IoT Hub connection string's members or a broker's scheme.
fn is_connection(text: &str) -> bool {
    let first = text.split('=').next().unwrap_or_default();
    let members = ["HostName", "SharedAccessKeyName", "SharedAccessKey"];
    text.starts_with("mosquitto://") || members.iter().any(|member| first.eq_ignore_ascii_case(member))
}

impl RemoteLink {
    fn linked(&self) -> LinkedHub {
        LinkedHub {
            name: self.name.clone(),
            region: self.region.clone(),
            weight: 1,
            apply_allocation_policy: true,
            connection: self.connection.clone(),
        }
    }
}

/// The service's hubs that are not in this process.
pub fn remote(tenant: &Tenant) -> Vec<LinkedHub> {
    tenant.service.hubs.iter().filter(|hub| hub.connection != HubConnection::Embedded).cloned().collect()
}

/// Links the hubs that are not linked yet, and gives those that are the connection and region that were said now.
pub async fn ensure(directory: &Directory, tenant: Tenant, links: &[RemoteLink]) -> Result<Tenant, StartError> {
    let name = tenant.service.name.clone();
    let Some(mut stored) = directory.service(&name).await.map_err(|error| unreadable(&error))? else { return Ok(tenant) };
    let before = stored.value.hubs.clone();
    for link in links {
        let wanted = link.linked();
        match stored.value.hubs.iter_mut().find(|hub| hub.name == link.name) {
            Some(hub) if hub.connection == HubConnection::Embedded => {
                let what = format!("the hub {} is both embedded here and to be linked from elsewhere", link.name);
                return Err(StartError::new(what, "Give one of the two another host name: devices are told the name alone."));
            }
            Some(hub) => (hub.connection, hub.region) = (wanted.connection, wanted.region),
            None => stored.value.hubs.push(wanted),
        }
    }
    if stored.value.hubs == before {
        return Ok(tenant);
    }
    directory.update(stored.value, stored.etag).await.map_err(refused)?;
    let found = directory.by_name(&name).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| StartError::internal("the service", &"it is gone"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "HostName=hub.example:8443;SharedAccessKeyName=owner;SharedAccessKey=a2V5MQ==";

    #[test]
    fn a_region_may_stand_before_the_connection_string() {
        let bare: RemoteLink = TEXT.parse().unwrap();
        assert_eq!((bare.name.as_str(), bare.region.as_str()), ("hub.example", REGION_DEFAULT));
        let placed: RemoteLink = format!("north={TEXT}").parse().unwrap();
        assert_eq!((placed.region.as_str(), placed.connection), ("north", bare.connection));
        let turned: RemoteLink = "SharedAccessKey=a2V5MQ==;HostName=h;SharedAccessKeyName=o".parse().unwrap();
        assert_eq!((turned.name.as_str(), turned.region.as_str()), ("h", REGION_DEFAULT));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_key() {
        for text in ["", "=", "north=", "hub.example", "HostName=h;SharedAccessKey=topsecret", "n=HostName=h:x;SharedAccessKey=topsecret"] {
            let why = text.parse::<RemoteLink>().unwrap_err().to_string();
            assert!(!why.contains("topsecret"), "{why}");
        }
        let debug = format!("{:?}", "HostName=h;SharedAccessKeyName=a;SharedAccessKey=topsecret".parse::<RemoteLink>().unwrap());
        assert!(!debug.contains("topsecret"), "{debug}");
    }
}
