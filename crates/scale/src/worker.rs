//! A process that has one store open and does what it is told, so that each store's memory and CPU time are its own.
//!
//! It reads a request a line, as JSON, and answers each with a line.

use std::{
    io::{BufRead as _, Write as _},
    path::Path,
    sync::Arc,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use usher_registry::{Filter, Kind, PageRequest};

use crate::{
    Outcome,
    ground::{Ground, Place},
    load::Size,
    process::{Workers, disk_bytes, resident_mib},
    slice::{self, Cost},
};

/// Items of a page that is timed.
const PAGE_ITEMS: usize = 100;

/// What a worker is told to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// A slice of so many new registrations and as many again.
    Slice(usize),
    /// So many pages of enrollments, one after the other.
    Pages(usize),
    /// How things stand.
    State,
}

/// What it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What the slice cost.
    Slice(Cost),
    /// How long each page took, in milliseconds, in their order.
    Pages(Vec<f64>),
    /// How things stand.
    State(State),
}

/// How a store and its process stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// What was loaded.
    pub size: Size,
    /// Enrollments, registrations, devices on the hub, and metered operations by their counters.
    pub counts: [i64; 4],
    /// From the first call that opens the store to a service that would listen, in milliseconds.
    pub opened_ms: f64,
    /// Memory of the process, in MiB.
    pub resident_mib: f64,
    /// The folder on disk, in bytes.
    pub disk_bytes: u64,
}

/// Works until its input ends.
pub async fn work(place: Place, workers: Workers) -> Outcome<()> {
    let (ground, folder) = (Arc::new(Ground::open(&place).await?), place.folder);
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Slice(count) => Answer::Slice(slice::run(&ground, Size::read(&folder)?, [count, count], workers).await?),
            Request::Pages(count) => Answer::Pages(pages(&ground, count).await?),
            Request::State => Answer::State(state(&ground, &folder).await?),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

async fn state(ground: &Ground, folder: &Path) -> Outcome<State> {
    Ok(State {
        size: Size::read(folder)?,
        counts: ground.counts().await?,
        opened_ms: ground.opened_in.as_secs_f64() * 1e3,
        resident_mib: resident_mib(),
        disk_bytes: disk_bytes(folder)?,
    })
}

/// Times pages of the list of enrollments, each with its devices' registrations, from the first on; from the beginning again after the
/// last.
async fn pages(ground: &Ground, count: usize) -> Outcome<Vec<f64>> {
    let (mut request, mut times) = (PageRequest { max_items: Some(PAGE_ITEMS), continuation: None }, Vec::new());
    while times.len() < count {
        let started = Instant::now();
        let page = ground.tenant.registry.query(Kind::Individual, &Filter::default(), &request, ground.clock.now()).await;
        request.continuation = page.map_err(|error| error.message)?.continuation;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
