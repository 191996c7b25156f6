//! `usher serve`: one node of an installation. With the embedded store it is the only one; with PostgreSQL it keeps nothing of its own,
//! and any number of them serve the same devices.

mod bootstrap;
mod certificate;
mod config;
mod master_keys;
mod reload;
mod renewal;
mod settings;
mod store;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};
use usher_api_hub::HubRest;
use usher_api_management::{ManagementApi, Ports as ManagementPorts, Settings as ManagementSettings};
use usher_audit::AuditLog;
use usher_domain::{
    Secret,
    clock::{Clock, Entropy},
    ids::hex,
    service_limits::Rate,
};
use usher_hub_embedded::EmbeddedHubs;
use usher_issuance_est::EstClient;
use usher_latency::LatencyMap;
use usher_provisioning::{Engine, Journal, Ports};
use usher_records::Vault;
use usher_registry::Directory;
use usher_store::{Store, TenantId};

use crate::{
    StartError,
    ambient::{SystemClock, SystemEntropy},
    console::{Console, Watch},
    copies::BackupDoor,
    cryptography::Cryptography,
    doors::Doors,
    gate::{AddressLimits, Gate},
    latency,
    linked_hubs::LinkedHubs,
    listener::Entrance,
    login_key, oidc,
    ports::bind,
    probes, ready, tls, trust, webhook,
    wiring::Open,
};
use certificate::{Certificate, NodeSite};
use settings::Settings;
pub(crate) use settings::{StoreAddress, StoreOf};
pub(crate) use store::make_folder;

/// A running node.
pub struct Serving {
    open: Open,
    doors: Arc<Doors>,
    drain: Duration,
    drain_delay: Duration,
    ready_file: Option<PathBuf>,
}

impl Serving {
    /// Stops: no new connections, open requests are answered, operations under way get their time. What is left is taken over by
    /// another node, or by the next start.
    pub async fn stop(self) {
        ready::tell_systemd("STOPPING=1");
        if let Some(path) = &self.ready_file {
            let _ = std::fs::remove_file(path);
        }
        self.doors.leaving.store(true, Ordering::Relaxed);
        if !self.drain_delay.is_zero() {
            info!(seconds = self.drain_delay.as_secs(), "not ready any more; the doors stay open until load balancers have noticed");
            tokio::time::sleep(self.drain_delay).await;
        }
        self.open.close(self.drain).await;
    }
}

/// Starts a node by its configuration file. `ready_file` is written last, with the ports as JSON.
///
/// # Errors
/// Where the configuration has a mistake, the store or the key cannot be had, or a port is taken.
pub async fn start(config: &Path, ready_file: Option<PathBuf>) -> Result<Serving, StartError> {
    let settings = settings::read(config).map_err(|mistake| mistaken(config, &mistake))?;
    let certificate = Arc::new(Certificate::read(&settings.tls.certificate, &settings.tls.key)?);
    let outgoing = trust::outgoing(&settings.hub_trust, "hub_trust")?;
    let webhook = webhook::webhook(&settings.webhook_trust, "webhook_trust")?;
    let (latency, probed) = latency::load(settings.latency.as_deref())?;
    let tls = tls::server_config(certificate.clone()).map_err(|error| StartError::internal("setting up TLS", &error))?;
    let cryptography = Cryptography::of(&tls);
    cryptography.check(settings.require_fips)?;
    let (store, alone) = store::open(&settings.store).await?;
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let system = Vault::open_tenant(Arc::clone(&store), &settings.masters, TenantId(0)).await.map_err(|error| unreadable(&error))?;
    let backups = backup_door(&settings, &store, &clock);
    let directory = Directory::open(store, &settings.masters).await.map_err(|error| unreadable(&error))?;
    let directory = Arc::new(directory);
    let audit = AuditLog::start(system.clone());
    let login = login_key::login(&system, entropy.as_ref()).await?;
    let oidc = oidc::verifier(settings.oidc.as_ref(), &clock)?;
    let watch = Arc::new(Watch::default());
    let console = Console::new(system.clone(), watch.clone(), Arc::clone(&clock), Arc::clone(&entropy));
    let console = console.with_issuer(oidc::IssuerLogin::new(settings.oidc.as_ref())?);
    let hubs = open_hubs(system, &settings, alone, &clock, &entropy).await?;
    if let Some(service) = &settings.service {
        bootstrap::ensure(&directory, service, entropy.as_ref()).await?;
    }
    let ports = ports(&settings).await?;
    let numbers = [&ports[0], &ports[1], &ports[2]].map(|bound| bound.port);
    let [https, mqtts, amqps] = numbers;
    let linked_hubs = Arc::new(LinkedHubs::new(Arc::clone(&hubs), outgoing, Arc::clone(&clock)));
    let probing = probes::Probing { directory: Arc::clone(&directory), probes: probed, entropy: Arc::clone(&entropy) };
    let calls = Ports { directory, hubs: linked_hubs.clone(), webhook, clock: Arc::clone(&clock), entropy };
    let site = NodeSite { hubs: Arc::clone(&hubs), certificate: Arc::clone(&certificate) };
    let management = management(&calls, site, &settings, https).with_login(login).with_oidc(oidc).with_audit(audit.clone());
    let management = management.with_cryptography(&cryptography);
    let doors = Arc::new(doors(calls, latency, linked_hubs, hubs, (management, audit), (console, watch)));
    let entrance = Entrance { tls: TlsAcceptor::from(tls), gate: Arc::new(gate(&settings.listen, &clock)) };
    let mut open = Open::doors(&doors, &clock, &entrance, ports, alone);
    open.run(|stop| renewal::watch(certificate, stop));
    open.run(|stop| probing.run(stop));
    if let Some(backups) = backups {
        open.run(|stop| backups.serve(stop));
    }
    if let Some(path) = &ready_file {
        let text = format!("{{\"https\":{https},\"mqtts\":{mqtts},\"amqps\":{amqps}}}\n");
        let next = "Choose a folder that this user may write (--ready-file).";
        ready::write_file(path, &text).map_err(|error| StartError::new(format!("the ready file {}: {error}", path.display()), next))?;
    }
    info!(https, mqtts, amqps, version = env!("CARGO_PKG_VERSION"), "ready");
    ready::tell_systemd("READY=1");
    Ok(Serving { open, doors, drain: settings.drain, drain_delay: settings.drain_delay, ready_file })
}

/// The store that a configuration names, and its key, for copies.
pub(crate) fn store_of(config: &Path) -> Result<StoreOf, StartError> {
    settings::read_store(config).map_err(|mistake| mistaken(config, &mistake))
}

fn mistaken(config: &Path, mistake: &config::Mistake) -> StartError {
    StartError::new(format!("the configuration {}: {mistake}", config.display()), "docs/usher.example.toml shows every setting.")
}

/// A database gives backups itself; an embedded store only through the process that has it.
fn backup_door(settings: &Settings, store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Option<BackupDoor> {
    let StoreAddress::Embedded(folder) = &settings.store else { return None };
    BackupDoor::open(folder, Arc::clone(store), settings.masters.clone(), Arc::clone(clock))
}

async fn open_hubs(
    system: Vault,
    settings: &Settings,
    alone: bool,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<EmbeddedHubs>, StartError> {
    let hubs = EmbeddedHubs::open(system, Arc::clone(clock), Arc::clone(entropy)).await;
    let hubs = hubs.map_err(|error| StartError::internal("opening the hubs", &error))?;
    for name in &settings.embedded_hubs {
        hubs.ensure(name).await.map_err(|error| StartError::internal("making a hub", &error))?;
    }
    if !alone && !hubs.names().is_empty() {
        warn!(
            check = "hub.nodes",
            detail = "embedded hubs share devices and twins among all nodes, but methods, messages, desired properties and telemetry \
                      pass only between a device and clients of the same node",
            mend = "Link IoT Hubs or brokers, or bring each device and its back end to one node.",
            "embedded hubs on many nodes"
        );
    }
    Ok(Arc::new(hubs))
}

async fn ports(settings: &Settings) -> Result<[crate::ports::Bound; 3], StartError> {
    let listen = &settings.listen;
    let https = bind(&listen.addresses, Some(listen.https), listen.https, listen.https).await?;
    let mqtts = bind(&listen.addresses, Some(listen.mqtts), listen.mqtts, listen.mqtts).await?;
    let amqps = bind(&listen.addresses, Some(listen.amqps), listen.amqps, listen.amqps).await?;
    Ok([https, mqtts, amqps])
}

fn gate(listen: &config::Listen, clock: &Arc<dyn Clock>) -> Gate {
    let limit = |number: u32| (number > 0).then_some(number);
    let new = limit(listen.new_connections_per_address).map(|count| Rate::of(count, 1));
    let limits = AddressLimits { open: limit(listen.connections_per_address), new };
    Gate::new(listen.proxies.clone(), limits, Arc::clone(clock))
}

fn management(ports: &Ports, site: NodeSite, settings: &Settings, https_port: u16) -> ManagementApi {
    let entropy = Arc::clone(&ports.entropy);
    let settings = ManagementSettings {
        token: admin_token(settings, entropy.as_ref()),
        device_host: settings.device_host.clone(),
        domain: settings.service_domain.clone(),
        https_port,
        limits: settings.limits,
    };
    let (directory, clock) = (Arc::clone(&ports.directory), Arc::clone(&ports.clock));
    ManagementApi::new(ManagementPorts { directory, clock, entropy, site: Arc::new(site) }, settings)
}

fn doors(
    ports: Ports,
    latency: LatencyMap,
    linked_hubs: Arc<LinkedHubs>,
    hubs: Arc<EmbeddedHubs>,
    (management, audit): (ManagementApi, AuditLog),
    (console, watch): (Console, Arc<Watch>),
) -> Doors {
    let (directory, clock, entropy) = (Arc::clone(&ports.directory), Arc::clone(&ports.clock), Arc::clone(&ports.entropy));
    let engine = Engine::new(ports).with_external_authority(Arc::new(EstClient::default())).with_latency(latency);
    let engine = engine.with_journal(Journal::start().watched_by(watch));
    Doors {
        started: engine.now(),
        leaving: AtomicBool::new(false),
        service: usher_api_service::ServiceApi::new(Arc::clone(&directory), clock, entropy).with_audit(audit),
        hub_rest: HubRest::new(Arc::clone(&hubs)),
        linked_hubs,
        management,
        console,
        hubs,
        directory,
        engine,
    }
}

/// The configured one, or one that nobody knows.
fn admin_token(settings: &Settings, entropy: &dyn Entropy) -> Secret {
    settings.admin.clone().unwrap_or_else(|| {
        if settings.oidc.is_none() {
            info!("the management API is closed: the configuration has neither an [admin] token nor an [oidc] issuer");
        }
        let mut random = [0; 32];
        entropy.fill(&mut random);
        Secret::new(hex(&random))
    })
}

fn unreadable(error: &usher_records::RecordError) -> StartError {
    let next = "The master key must be the one that the store was begun with, and the same on all nodes.";
    StartError::new(format!("the store cannot be read: {error}"), next)
}
