//! What a webhook of a custom allocation policy answers: a status in two bytes, then a body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_domain::{
    HubName,
    limits::{PAYLOAD_BYTES_MAX, nests_within_limit},
};
use usher_webhook::{Reply, Verdict, judge};

fuzz_target!(|bytes: &[u8]| {
    let hubs = ["a.example", "b.example"].map(|name| HubName::parse(name).expect("a name"));
    let Some(([high, low], body)) = bytes.split_first_chunk::<2>() else { return };
    // Most inputs are to reach the reader of bodies.
    let status = if high % 4 == 0 { u16::from_be_bytes([*high, *low]) % 1_000 } else { 200 };
    match judge(Ok(Reply { status, retry_after_s: None, body: body.to_vec() }), &hubs) {
        Verdict::Decided(answer) => {
            assert!(status == 200 && hubs.contains(&answer.hub));
            let payload = answer.payload.unwrap_or_default();
            assert!(nests_within_limit(&payload) && payload.to_string().len() <= PAYLOAD_BYTES_MAX);
        }
        Verdict::Later { fault, asked, .. } => assert!(asked && fault.message.len() < 200),
        Verdict::Never(fault) => {
            assert!(fault.message.len() < 200 && !fault.message.contains(char::is_control), "the device is told little");
            assert!(fault.detail.len() < 2_000 && !fault.detail.contains(char::is_control), "{:?}", fault.detail);
        }
    }
});
