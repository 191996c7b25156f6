//! Documents of the service API and of the device API.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_domain::document::RegisterDocument;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = usher_registry::document_from_json(bytes) {
        let text = serde_json::to_vec(&document).expect("what was read is written");
        let again = usher_registry::document_from_json(&text).expect("what was written is read");
        assert_eq!(serde_json::to_value(&again).ok(), serde_json::to_value(&document).ok());
    }
    let _ = usher_registry::bulk_from_json(bytes);
    let _ = serde_json::from_slice::<RegisterDocument>(bytes);
});
