//! MMDB files: bytes of any kind, and a sound file with bytes changed at places that the input names (two bytes a place, one to put
//! there).
#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_latency::Geo;

const FILE: &[u8] = include_bytes!("../../crates/latency/tests/data/regions.mmdb");

fn look(bytes: Vec<u8>) {
    let Ok(geo) = Geo::open(bytes, Some("site.name")) else { return };
    for address in ["192.0.2.7", "192.0.2.200", "198.51.100.1", "203.0.113.1", "2001:db8::1"] {
        geo.regions(address.parse().expect("an address"));
    }
}

// The library may panic on a damaged file, which `Geo` catches; cargo-fuzz would end at the panic itself.
fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    look(bytes.to_vec());
    let mut file = FILE.to_vec();
    for change in bytes.chunks_exact(3) {
        let &[high, low, byte] = change else { continue };
        let place = usize::from(u16::from_be_bytes([high, low])) % file.len();
        file[place] = byte;
    }
    look(file);
});
