//! The operator's latency table, and look-ups in what was read.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use usher_domain::{HubName, hub_connection::HubConnection, service::LinkedHub};
use usher_latency::{LatencyMap, Probes};

fn hub(name: &str) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).expect("a name"),
        region: "west".into(),
        weight: 1,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    }
}

fuzz_target!(|text: &str| {
    let table = match usher_latency::read(text) {
        Ok(table) => table,
        Err(error) => {
            assert!(error.line <= text.lines().count() + 1 && !error.mend.is_empty());
            return;
        }
    };
    let _ = (table.size(), table.regions_without_figures());
    let hubs = ["a.example", "b.example"].map(hub);
    let map = LatencyMap::new(table, None, Arc::new(Probes::default()));
    for address in [None, Some([10, 1, 2, 3].into()), Some(std::net::Ipv6Addr::LOCALHOST.into())] {
        assert_eq!(map.figures(&hubs.each_ref(), address).len(), hubs.len());
    }
});
