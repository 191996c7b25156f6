//! Bodies and paths of the management API: the path up to the first NUL, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_api_management::{Context, Description, Place, Route, Settings, Site};
use usher_domain::{HubName, Secret, clock::SeededEntropy, service_limits::ServiceLimits};

struct Alone;

impl Site for Alone {
    fn is_embedded(&self, hub: &HubName) -> bool {
        hub.as_str() == "hub.example"
    }

    fn serve_host(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (path, body) = bytes.split_at(end);
    if let Ok(path) = std::str::from_utf8(path) {
        let _ = Route::of(path);
    }
    let Ok(description) = Description::from_json(body.strip_prefix(b"\0").unwrap_or(body)) else { return };
    let settings = Settings {
        token: Secret::new("token"),
        device_host: "localhost".into(),
        domain: "example".into(),
        https_port: 443,
        limits: ServiceLimits::DPS,
    };
    let place = Place { group: "group".into(), name: "service".into() };
    let context = Context { place: &place, settings: &settings, site: &Alone, entropy: &SeededEntropy::new(1) };
    if let Ok(made) = description.apply(None, &context) {
        assert!(!made.policies.is_empty(), "nobody is locked out");
        // What was made can be written back.
        description.apply(Some(&made), &context).expect("the same again");
    }
});
