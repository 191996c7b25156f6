//! How evenly weighted hashing spreads 100,000 devices over 7 weighted hubs, and how many move when a hub joins.
//!
//! `cargo bench -p usher-allocation`

use std::{collections::BTreeMap, time::Instant};

use usher_allocation::hashed;
use usher_domain::{
    HubName, RegistrationId,
    service::{HubConnection, LinkedHub},
};

const DEVICES: usize = 100_000;
const WEIGHTS: [u32; 7] = [1, 1, 2, 3, 5, 8, 10];

fn main() {
    let hubs: Vec<LinkedHub> = WEIGHTS.iter().chain(&[5]).enumerate().filter_map(|(n, weight)| hub(n, *weight)).collect();
    let (seven, eight): (Vec<&LinkedHub>, Vec<&LinkedHub>) = (hubs.iter().take(7).collect(), hubs.iter().collect());
    let devices: Vec<RegistrationId> = (0..DEVICES).filter_map(|n| RegistrationId::parse(&format!("device-{n}")).ok()).collect();

    let started = Instant::now();
    let first: Vec<HubName> = devices.iter().filter_map(|id| hashed(&seven, id).ok()).collect();
    let each = started.elapsed().as_nanos() / DEVICES as u128;
    let total: u32 = WEIGHTS.iter().sum();
    let mut counts: BTreeMap<&HubName, u32> = BTreeMap::new();
    first.iter().for_each(|hub| *counts.entry(hub).or_default() += 1);
    let mut worst: f64 = 0.0;
    for hub in &seven {
        let expected = DEVICES as f64 * f64::from(hub.weight) / f64::from(total);
        let got = f64::from(counts.get(&hub.name).copied().unwrap_or_default());
        worst = worst.max((got - expected).abs() / expected);
        println!("{}: weight {:>2}, expected {expected:>8.0}, got {got:>6}", hub.name, hub.weight);
    }
    let second: Vec<HubName> = devices.iter().filter_map(|id| hashed(&eight, id).ok()).collect();
    let moved = first.iter().zip(&second).filter(|(a, b)| a != b).count();
    let astray = first.iter().zip(&second).filter(|(a, b)| a != b && **b != hubs[7].name).count();
    let share = f64::from(hubs[7].weight) / f64::from(total + hubs[7].weight);
    println!("largest relative error of a share: {:.2} %", worst * 100.0);
    println!(
        "hub added with share {:.2} %: {:.2} % moved, {astray} of them elsewhere",
        share * 100.0,
        moved as f64 * 100.0 / DEVICES as f64
    );
    println!("{each} ns per device over 7 hubs");
}

fn hub(n: usize, weight: u32) -> Option<LinkedHub> {
    Some(LinkedHub {
        name: HubName::parse(&format!("hub-{n}.example")).ok()?,
        region: String::new(),
        weight,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    })
}
