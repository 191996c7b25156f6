//! How fast a broker takes devices as they become many. Run by hand: `cargo test -p usher-hub-mosquitto --test pace -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

mod bed;

use std::{sync::Arc, time::Instant};

use bed::{Bed, spec, twin};
use tokio::task::JoinSet;
use usher_hub::{Hub as _, TwinWrite};

/// Devices between two readings.
const LOT: usize = 250;
/// Readings.
const LOTS: usize = 8;
/// Devices at once.
const ABREAST: usize = 16;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn devices_lot_by_lot() {
    let Some(bed) = Bed::start() else { return };
    let hub = Arc::new(bed.hub());
    for lot in 1..=LOTS {
        let (began, spent_ms) = (Instant::now(), bed.spent_ms());
        let mut work = JoinSet::new();
        for n in 0..LOT {
            if work.len() == ABREAST {
                work.join_next().await.unwrap().unwrap();
            }
            let (hub, name) = (hub.clone(), format!("device-{lot}-{n}"));
            work.spawn(async move { hub.ensure_device(&spec(&name), TwinWrite::IfCreated(&twin("red"))).await.unwrap() });
        }
        work.join_all().await;
        let (took, spent_ms) = (began.elapsed(), bed.spent_ms() - spent_ms);
        println!("{} devices: the last {LOT} in {took:.1?}, the broker's processor time for each {} ms", lot * LOT, spent_ms / LOT as u64);
    }
}
