//! User names and topics of the device API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_api_device::mqtt::{Ask, UserName, response_topic};

fuzz_target!(|text: &str| {
    if let Some(name) = UserName::parse(text) {
        let _ = (name.is_java(), usher_domain::RegistrationId::parse(name.registration_id));
    }
    if let Some(ask) = Ask::parse(text) {
        let topic = response_topic(200, ask.request_id(), Some(1));
        assert!(!topic.contains(['#', '+', '\0']) && topic.matches('$').count() == 2, "{topic}");
    }
});
