//! Connection texts of linked hubs: who takes one must name a host that leads nowhere else, and none may show its key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_domain::{Secret, hub_connection::HubConnection};
use usher_hub_iothub::Connection;
use usher_hub_mosquitto::Address;

fuzz_target!(|text: &str| {
    if let Ok((name, connection)) = HubConnection::parse(text) {
        assert!(!name.as_str().is_empty() && text.len() <= 1_024);
        let shown = format!("{connection:?}");
        assert!(shown.len() < 120, "{shown}");
    }
    if let Ok(connection) = Connection::parse(text) {
        assert!(!connection.host.contains(['/', '?', '#', '@', ' ', ';']), "{}", connection.host);
    }
    let _ = Address::parse(&Secret::new(text));
});
