//! Finds the connector of a linked hub, by how it is reached: hubs of this process directly, all others behind a guard. A new kind of
//! hub gets an arm in [`LinkedHubs::reach`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::error;
use usher_domain::{
    DeviceId, HubName, Secret,
    clock::Clock,
    hub_connection::member,
    hub_device::{DeviceSpec, InitialTwin},
    service::{HubConnection, LinkedHub},
};
use usher_hub::{BoxFuture, Hub, HubError, Hubs, TwinWrite, guarded::Guarded, health::HubHealth};
use usher_hub_embedded::{EmbeddedHub, EmbeddedHubs};
use usher_hub_iothub::{Connection, IotHub};
use usher_hub_mosquitto::MosquittoHub;

use crate::trust::Outgoing;

/// Names under which connectors are kept. Far more hubs than one installation links; beyond, those that nobody uses are dropped.
const NAMES_MAX: usize = 10_000;
/// Connections kept for one name: after a change of keys the old one is of no use, but two services may differ for a while.
const CONNECTIONS_PER_NAME_MAX: usize = 4;

/// The hubs that this process can reach.
pub struct LinkedHubs {
    embedded: Arc<EmbeddedHubs>,
    outgoing: Outgoing,
    clock: Arc<dyn Clock>,
    remote: Mutex<BTreeMap<HubName, Vec<Remote>>>,
}

/// A connector with the connection it was made for.
#[derive(Clone)]
struct Remote {
    connection: HubConnection,
    hub: Arc<Guarded<Box<dyn Hub>>>,
}

impl LinkedHubs {
    /// Embedded hubs, and remote ones through `outgoing`.
    pub fn new(embedded: Arc<EmbeddedHubs>, outgoing: Outgoing, clock: Arc<dyn Clock>) -> Self {
        Self { embedded, outgoing, clock, remote: Mutex::default() }
    }

    /// How the remote hubs that were called so far have been doing, by name. Embedded hubs are not among them: they have no limit and
    /// no breaker.
    pub fn health(&self) -> Vec<HubHealth> {
        self.remotes().values().flatten().map(|remote| remote.hub.health()).collect()
    }

    /// A connector for a hub outside this process, to be guarded.
    fn reach(&self, linked: &LinkedHub) -> Box<dyn Hub> {
        match &linked.connection {
            HubConnection::IotHub { connection_string } => match Connection::parse(connection_string.expose()) {
                Ok(connection) => Box::new(IotHub::new(connection, self.outgoing.client.clone(), Arc::clone(&self.clock))),
                Err(why) => unusable(linked, &why.to_string()),
            },
            HubConnection::Mosquitto { url } => match MosquittoHub::new(url, Arc::clone(&self.outgoing.roots)) {
                Ok(hub) => Box::new(hub),
                Err(why) => unusable(linked, &why.to_string()),
            },
            HubConnection::Embedded => unusable(linked, "this process has no embedded hub of this name"),
        }
    }

    fn remote(&self, linked: &LinkedHub) -> Arc<Guarded<Box<dyn Hub>>> {
        let mut remotes = self.remotes();
        if remotes.len() >= NAMES_MAX && !remotes.contains_key(&linked.name) {
            remotes.retain(|_, kept| kept.iter().any(|remote| Arc::strong_count(&remote.hub) > 1));
        }
        let kept = remotes.entry(linked.name.clone()).or_default();
        if let Some(found) = kept.iter().find(|remote| remote.connection == linked.connection) {
            return Arc::clone(&found.hub);
        }
        let hub = Arc::new(Guarded::new(linked.name.clone(), self.reach(linked)));
        if kept.len() >= CONNECTIONS_PER_NAME_MAX {
            kept.remove(0);
        }
        kept.push(Remote { connection: linked.connection.clone(), hub: Arc::clone(&hub) });
        hub
    }

    fn remotes(&self) -> MutexGuard<'_, BTreeMap<HubName, Vec<Remote>>> {
        self.remote.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub of this process that a connection string names: one whose policy has the very key. By its name alone it could be the
    /// hub of another usher on another port.
    fn own(&self, name: &HubName, connection_string: &Secret) -> Option<Arc<EmbeddedHub>> {
        let text = connection_string.expose();
        let (policy, key) = (member(text, "SharedAccessKeyName")?, member(text, "SharedAccessKey")?);
        let hub = self.embedded.get(name)?;
        let policy = hub.policy(policy)?;
        [&policy.primary, &policy.secondary].into_iter().any(|own| *own == Secret::new(key)).then_some(hub)
    }
}

impl Hubs for LinkedHubs {
    fn connect(&self, tenant: u32, linked: &LinkedHub) -> Option<Arc<dyn Hub>> {
        match &linked.connection {
            HubConnection::Embedded => self.embedded.connect(tenant, linked),
            HubConnection::IotHub { connection_string } => match self.own(&linked.name, connection_string) {
                Some(own) => Some(own),
                None => Some(self.remote(linked)),
            },
            HubConnection::Mosquitto { .. } => Some(self.remote(linked)),
        }
    }
}

/// A hub that cannot be called as it is linked: every call says why, and nothing is sent.
struct Unusable(String);

fn unusable(linked: &LinkedHub, why: &str) -> Box<dyn Hub> {
    error!(hub = %linked.name, detail = why, mend = "Link the hub anew with a connection string that this server can use.", "a linked hub cannot be called");
    Box::new(Unusable(why.to_owned()))
}

impl Unusable {
    fn say<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, HubError>> {
        Box::pin(async { Err(HubError::Rejected(self.0.clone())) })
    }
}

impl Hub for Unusable {
    fn ensure_device<'a>(&'a self, _: &'a DeviceSpec, _: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        self.say()
    }

    fn read_twin<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        self.say()
    }

    fn delete_device<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        self.say()
    }
}
