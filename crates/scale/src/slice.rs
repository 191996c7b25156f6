//! A slice: some thousand registrations, one part of devices that were never registered, the other of any that were.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use usher_domain::clock::{Entropy as _, SeededEntropy};
use usher_registry::IfMatch;

use crate::{
    Outcome,
    ambient::SystemEntropy,
    device::{Device, Part},
    ground::Ground,
    load::Size,
    process::Workers,
};

/// Devices that register at the same time.
const AT_ONCE: usize = 64;

/// What a slice cost.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Registrations.
    pub registrations: usize,
    /// From the first request to the last answer, in seconds.
    pub wall_s: f64,
    /// CPU time, with all that was done in the background until the store was at rest again, in seconds.
    pub cpu_s: f64,
    /// Half of the devices had their answer within this time, in milliseconds.
    pub median_ms: f64,
    /// 99 of 100 devices had their answer within this time, in milliseconds.
    pub p99_ms: f64,
}

/// Registers devices, drawn by chance from all there are, and leaves the store with as many as before.
pub async fn run(ground: &Arc<Ground>, size: Size, [new, again]: [usize; 2], workers: Workers) -> Outcome<Cost> {
    let mut seed = [0; 8];
    SystemEntropy.fill(&mut seed);
    let seed = u64::from_le_bytes(seed);
    let fresh = drawn(Part::Fresh, size.fresh, new, seed)?;
    let mut devices = fresh.clone();
    devices.extend(drawn(Part::Registered, size.registered, again, seed.wrapping_add(1))?);
    shuffle(&mut devices, seed);
    workers.settle()?;
    let (cpu_before, started) = (workers.cpu_s()?, Instant::now());
    let mut waits = each(ground, devices, |ground, device| async move { ground.register(&device).await.map(|_| ()) }).await?;
    let wall_s = started.elapsed().as_secs_f64();
    ground.drain().await;
    workers.settle()?;
    let cpu_s = workers.cpu_s()? - cpu_before;
    each(ground, fresh, |ground, device| async move { ground.forget(&device).await }).await?;
    waits.sort_unstable();
    let within =
        |percent: usize| waits.get((waits.len() * percent / 100).min(waits.len() - 1)).map_or(0.0, |wait| wait.as_secs_f64() * 1e3);
    Ok(Cost { registrations: waits.len(), wall_s, cpu_s, median_ms: within(50), p99_ms: within(99) })
}

impl Ground {
    /// Makes a device new again: neither registered nor on its hub.
    async fn forget(&self, device: &Device) -> Outcome<()> {
        let deleted = self.tenant.registry.delete_registration(device.id.as_str(), IfMatch::Unsaid, self.clock.now()).await;
        deleted.map_err(|error| error.message)?;
        self.leave_hub(device).await
    }
}

/// Different devices, each as likely as any other.
fn drawn(part: Part, of: u64, count: usize, seed: u64) -> Outcome<Vec<Device>> {
    if u64::try_from(count)? > of {
        return Err(format!("{count} devices of {of}: load more, or measure shorter slices").into());
    }
    let (chance, mut numbers) = (SeededEntropy::new(seed), BTreeSet::new());
    while numbers.len() < count {
        numbers.insert(chance.next() % of.max(1));
    }
    numbers.into_iter().map(|number| Device::new(part, number)).collect()
}

fn shuffle(devices: &mut [Device], seed: u64) {
    let chance = SeededEntropy::new(seed.wrapping_add(2));
    for last in (1..devices.len()).rev() {
        let other = usize::try_from(chance.next() % (last as u64 + 1)).unwrap_or_default();
        devices.swap(last, other);
    }
}

/// Does something with each device, many at a time; returns how long each took.
async fn each<F>(ground: &Arc<Ground>, devices: Vec<Device>, work: fn(Arc<Ground>, Device) -> F) -> Outcome<Vec<Duration>>
where
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let (devices, next) = (Arc::new(devices), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (ground, devices, next) = (Arc::clone(ground), Arc::clone(&devices), Arc::clone(&next));
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while let Some(device) = devices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    work(Arc::clone(&ground), device.clone()).await?;
                    waits.push(started.elapsed());
                }
                Outcome::Ok(waits)
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await??);
    }
    Ok(waits)
}
