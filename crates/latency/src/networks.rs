//! Networks by address, the longest prefix first.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use ipnetwork::IpNetwork;

/// Values under networks, IPv4 and IPv6. A look-up costs one hash for each length of prefix in use.
#[derive(Clone, Debug)]
pub struct Networks<T> {
    entries: HashMap<IpNetwork, T>,
    /// Lengths in use, so that look-ups try no others.
    v4: BTreeSet<u8>,
    v6: BTreeSet<u8>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), v4: BTreeSet::new(), v6: BTreeSet::new() }
    }
}

impl<T> Networks<T> {
    /// Adds a network whose address is its first; `false` where it is there already.
    pub fn add(&mut self, network: IpNetwork, value: T) -> bool {
        let lengths = if network.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        lengths.insert(network.prefix());
        self.entries.insert(network, value).is_none()
    }

    /// The narrowest network that holds the address.
    pub fn find(&self, address: IpAddr) -> Option<(&IpNetwork, &T)> {
        let lengths = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        lengths.iter().rev().find_map(|length| {
            let around = IpNetwork::new(address, *length).ok()?;
            let network = IpNetwork::new(around.network(), *length).ok()?;
            self.entries.get_key_value(&network)
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_longest_prefix_wins_in_either_family() {
        let mut networks = Networks::default();
        for network in ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "2001:db8::/32", "2001:db8:1::/48"] {
            assert!(networks.add(network.parse().unwrap(), network));
        }
        assert!(!networks.add("10.0.0.0/8".parse().unwrap(), "again"));
        let find = |address: &str| networks.find(address.parse().unwrap()).map(|(network, _)| network.to_string());
        assert_eq!(find("10.1.2.3").as_deref(), Some("10.1.2.3/32"));
        assert_eq!(find("10.1.2.4").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(find("10.2.0.1").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(find("192.0.2.1").as_deref(), Some("0.0.0.0/0"));
        assert_eq!(find("2001:db8:1::9").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(find("2001:db8:2::9").as_deref(), Some("2001:db8::/32"));
        assert_eq!(find("::1"), None);
    }
}
