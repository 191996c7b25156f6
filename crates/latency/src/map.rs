//! The latency map: what is known of the way from a device to each hub, and from where.

use std::{fmt, net::IpAddr, sync::Arc};

use usher_allocation::Latency;
use usher_domain::service::LinkedHub;

use crate::{
    geo::Geo,
    place::{Figures, Place},
    probes::Probes,
    read::Table,
    target::{Target, target},
};

/// A hub's latency to a device, and how it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// The latency.
    pub latency: Latency,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a figure comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table, by the device's network, and the region that it is in.
    Network(String, Option<String>),
    /// The table, by the region that the MMDB file gives.
    Mmdb(String),
    /// This node's own measurement.
    Probe,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network, Some(region)) => write!(f, "table, network {network} in region {region}"),
            Self::Network(network, None) => write!(f, "table, network {network}"),
            Self::Mmdb(region) => write!(f, "table, region {region} by MMDB"),
            Self::Probe => f.write_str("own probe"),
        }
    }
}

/// Everything known of latency. Without a table there are the probes.
#[derive(Debug, Default)]
pub struct LatencyMap {
    table: Table,
    geo: Option<Geo>,
    probes: Arc<Probes>,
}

impl LatencyMap {
    /// A map over these sources.
    pub fn new(table: Table, geo: Option<Geo>, probes: Arc<Probes>) -> Self {
        Self { table, geo, probes }
    }

    /// The figure of each hub, in the order of `hubs`, for a device at `address`.
    ///
    /// All come from one source, the first that has a figure for any of the hubs: a stated figure and a measured one do not compare,
    /// the one being from the device and the other from here. A hub that the source says nothing of has none.
    pub fn figures(&self, hubs: &[&LinkedHub], address: Option<IpAddr>) -> Vec<Option<Figure>> {
        for (place, origin) in self.places(address.map(|address| address.to_canonical())) {
            let stated = |hub: &&LinkedHub| place.ms_to(hub, &self.table.regions).map(Latency::stated);
            let found: Vec<_> = hubs.iter().map(|hub| stated(hub).map(|latency| Figure { latency, origin: origin.clone() })).collect();
            if found.iter().any(Option::is_some) {
                return found;
            }
        }
        hubs.iter().map(|hub| self.probed(hub).map(|latency| Figure { latency, origin: Origin::Probe })).collect()
    }

    /// Where the device may be, best knowledge first.
    fn places(&self, address: Option<IpAddr>) -> Vec<(Place, Origin)> {
        let Some(address) = address else { return Vec::new() };
        let network = self.table.networks.find(address);
        let network = network.map(|(network, place)| (place.clone(), Origin::Network(network.to_string(), place.region.clone())));
        let regions = self.geo.as_ref().map(|geo| geo.regions(address)).unwrap_or_default();
        let by_region = |region: String| (Place { region: Some(region.clone()), figures: Figures::new() }, Origin::Mmdb(region));
        network.into_iter().chain(regions.into_iter().map(by_region)).collect()
    }

    fn probed(&self, hub: &LinkedHub) -> Option<Latency> {
        match target(hub) {
            Target::Here => Some(Latency::measured(0)),
            Target::Remote(..) => self.probes.ms(&hub.name).map(Latency::measured),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_domain::{HubName, service::HubConnection};

    use super::*;
    use crate::read::read;

    fn remote(name: &str, region: &str) -> LinkedHub {
        let text = format!("HostName={name};SharedAccessKeyName=o;SharedAccessKey=aaaa");
        let (name, connection) = HubConnection::parse(&text).unwrap();
        LinkedHub { name, region: region.into(), weight: 1, apply_allocation_policy: true, connection }
    }

    fn figures(map: &LatencyMap, hubs: &[&LinkedHub], address: &str) -> Vec<Option<(u32, String)>> {
        let address = (!address.is_empty()).then(|| address.parse().unwrap());
        map.figures(hubs, address).into_iter().map(|found| found.map(|found| (found.latency.ms, found.origin.to_string()))).collect()
    }

    #[test]
    fn the_table_speaks_first_and_the_probes_where_it_is_silent() {
        let text = "[networks]\n\"10.0.0.0/8\" = \"A\"\n\"10.9.0.0/16\" = { region = \"a\", \"two.example\" = 3 }\n\"10.8.0.0/16\" = \"nowhere\"\n\
                    [regions.a]\nwest = 30\n\"two.example\" = 50\n";
        let probes = Arc::new(Probes::default());
        let map = LatencyMap::new(read(text).unwrap(), None, Arc::clone(&probes));
        let (one, two, here) = (remote("one.example", "West"), remote("two.example", "A"), remote("three.example", "a"));
        let by = |origin: &str, ms: u32| Some((ms, origin.to_owned()));
        let a = "table, network 10.0.0.0/8 in region a";
        assert_eq!(figures(&map, &[&one, &two, &here], "10.1.1.1"), [by(a, 30), by(a, 50), by(a, 1)]);
        assert_eq!(figures(&map, &[&one, &two], "::ffff:10.1.1.1"), [by(a, 30), by(a, 50)]);
        let nine = "table, network 10.9.0.0/16 in region a";
        assert_eq!(figures(&map, &[&one, &two], "10.9.1.1"), [by(nine, 30), by(nine, 3)]);
        for silent in ["192.0.2.1", "2001:db8::1", "10.8.0.1", ""] {
            assert_eq!(figures(&map, &[&one, &two], silent), [None, None]);
        }
        probes.record(&HubName::parse("two.example").unwrap(), Some(12));
        assert_eq!(figures(&map, &[&one, &two], "192.0.2.1"), [None, by("own probe", 12)]);
    }

    #[test]
    fn hubs_in_this_process_are_nearest_to_what_reaches_it() {
        let mut here = remote("here.example", "x");
        here.connection = HubConnection::Embedded;
        let far = remote("far.example", "x");
        assert_eq!(figures(&LatencyMap::default(), &[&here, &far], ""), [Some((0, "own probe".to_owned())), None]);
    }
}
