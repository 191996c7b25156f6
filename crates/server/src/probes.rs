//! This node's own probes: how long it takes to connect to each linked hub.
//!
//! A TCP connection is opened and closed again, with no word said: it costs the hub next to nothing and takes one round trip. Nobody
//! waits for a probe: registrations read what the last ones found.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};
use usher_api_device::stopped;
use usher_domain::{HubName, clock::Entropy};
use usher_latency::{Probes, Target, target};
use usher_registry::Directory;

/// Between two rounds. A median of five reaches back two and a half minutes.
const ROUND_EVERY: Duration = Duration::from_secs(30);
/// Each pause is longer by up to this much, so that nodes do not probe in step.
const JITTER_MAX_MS: u64 = 6_000;
/// The longest that a probe waits. What takes longer is as good as down.
const PROBE_MAX: Duration = Duration::from_secs(2);
/// Probes at a time: an installation may have thousands of hubs.
const PROBES_AT_A_TIME: usize = 32;

/// All that probing needs.
pub struct Probing {
    /// Whose hubs.
    pub directory: Arc<Directory>,
    /// Where to write down what was found.
    pub probes: Arc<Probes>,
    /// For the jitter.
    pub entropy: Arc<dyn Entropy>,
}

impl Probing {
    /// Probes until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.rounds() => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn rounds(&self) {
        let mut silent = HashSet::new();
        loop {
            match self.targets().await {
                Ok(targets) => self.round(targets, &mut silent).await,
                Err(why) => warn!(detail = %why, "cannot look for hubs to probe"),
            }
            let mut random = [0; 8];
            self.entropy.fill(&mut random);
            sleep(ROUND_EVERY + Duration::from_millis(u64::from_le_bytes(random) % JITTER_MAX_MS)).await;
        }
    }

    /// The hubs outside this process, each once, whichever services it is linked to.
    async fn targets(&self) -> Result<HashMap<HubName, (String, u16)>, usher_records::RecordError> {
        let services = self.directory.services().await?;
        let remote = services.iter().flat_map(|service| &service.hubs).filter_map(|hub| match target(hub) {
            Target::Remote(host, port) => Some((hub.name.clone(), (host, port))),
            Target::Here => None,
        });
        Ok(remote.collect())
    }

    async fn round(&self, targets: HashMap<HubName, (String, u16)>, silent: &mut HashSet<HubName>) {
        let names: HashSet<HubName> = targets.keys().cloned().collect();
        self.probes.retain(&names);
        silent.retain(|hub| names.contains(hub));
        let (mut under_way, room) = (JoinSet::new(), Arc::new(Semaphore::new(PROBES_AT_A_TIME)));
        for (hub, (host, port)) in targets {
            let room = Arc::clone(&room);
            under_way.spawn(async move {
                let _place = room.acquire().await;
                (hub, connect_ms(&host, port).await)
            });
        }
        while let Some(done) = under_way.join_next().await {
            let Ok((hub, measured)) = done else { continue };
            tell(&hub, &measured, silent);
            self.probes.record(&hub, measured.ok());
        }
    }
}

/// Logs a hub that falls silent or speaks again; not each probe.
fn tell(hub: &HubName, measured: &Result<u32, String>, silent: &mut HashSet<HubName>) {
    match measured {
        Ok(ms) if silent.remove(hub) => info!(%hub, ms, "the hub answers probes again"),
        Err(why) if silent.insert(hub.clone()) => {
            let mend = "See that the hub runs and that this machine may connect to it; until then allocation by latency passes it over.";
            warn!(%hub, check = "latency.probe", detail = why, mend, "a hub does not answer probes");
        }
        _ => {}
    }
}

/// Milliseconds that it takes to connect, looking the name up not counted; the first of its addresses that answers.
async fn connect_ms(host: &str, port: u16) -> Result<u32, String> {
    let connect = async {
        let mut why = format!("{host} has no address");
        for address in lookup_host((host, port)).await.map_err(|error| error.to_string())? {
            let started = Instant::now();
            match TcpStream::connect(address).await {
                Ok(_) => return Ok(u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX)),
                Err(error) => why = format!("{address}: {error}"),
            }
        }
        Err(why)
    };
    timeout(PROBE_MAX, connect).await.unwrap_or_else(|_| Err(format!("no answer in {} s", PROBE_MAX.as_secs())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_listener_is_measured_and_a_closed_port_is_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect_ms("127.0.0.1", port).await.unwrap() < 1_000);
        drop(listener);
        assert!(connect_ms("127.0.0.1", port).await.is_err());
    }
}
