//! The query language.
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_registry::Filter;

fuzz_target!(|text: &str| {
    let _ = Filter::parse(Some(text), usher_registry::Kind::Individual);
});
