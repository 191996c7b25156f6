//! `usher dev`: a complete service in one process, its state in one folder.

mod describe;
mod ground;
mod options;
mod service;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio_rustls::TlsAcceptor;
use usher_api_hub::HubRest;
use usher_api_management::{ManagementApi, Ports as ManagementPorts, Settings as ManagementSettings};
use usher_api_service::ServiceApi;
use usher_audit::AuditLog;
use usher_domain::{Secret, service::LinkedHub};
use usher_hub_embedded::EmbeddedHubs;
use usher_issuance_est::EstClient;
use usher_provisioning::{Engine, Journal, Ports};

pub use self::options::DevOptions;
use self::{
    describe::{manifest, server_names},
    ground::{Ground, folder_error},
    service::ensure_service,
};
pub(crate) use self::{ground::unreadable, service::refused};
use crate::{
    StartError,
    console::{Console, Watch},
    dev_limits,
    doors::Doors,
    gate::Gate,
    latency,
    linked_hubs::LinkedHubs,
    links,
    listener::Entrance,
    login_key,
    manifest::Manifest,
    oidc,
    ports::{Bound, bind},
    probes,
    served_names::ServedNames,
    site::ServerSite,
    tls, trust, webhook,
    wiring::Open,
};

/// The device endpoint's name.
const DEVICE_HOST: &str = "localhost";
/// A service made through the management API is named `{name}.localhost` (RFC 6761 section 6.3: such names lead to the own machine).
const SERVICE_DOMAIN: &str = "localhost";
/// The root certificate's file.
const TRUST: &str = "ca.pem";
/// Time for open requests and operations to end once the server is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A running server.
pub struct Running {
    /// What clients need to know.
    pub manifest: Manifest,
    /// Ports that are not the usual ones, and why.
    pub remarks: Vec<String>,
    /// Linked hubs of other processes.
    pub remote_hubs: Vec<LinkedHub>,
    /// The embedded hubs.
    pub hubs: Arc<EmbeddedHubs>,
    /// All hubs that devices can be sent to.
    pub linked_hubs: Arc<LinkedHubs>,
    folder: PathBuf,
    open: Open,
}

impl Running {
    /// Stops: no new connections, open requests are answered, operations under way get their time.
    pub async fn stop(self) {
        Manifest::remove(&self.folder);
        self.open.close(DRAIN_MAX).await;
    }
}

/// Starts. `dev.json` is written last: once it is there, everything answers.
pub async fn start(options: DevOptions) -> Result<Running, StartError> {
    Manifest::remove(&options.state);
    let (latency, probed) = latency::load(options.latency.as_deref())?;
    let outgoing = trust::outgoing(&options.hub_trust, "--hub-trust")?;
    let mut ground = Ground::open(&options.state).await?;
    let tenant = ensure_service(&ground.directory, &ground.hubs, &options, ground.entropy.as_ref()).await?;
    dev_limits::set(&ground.directory, options.limits).await?;
    let names = served_names(&ground, &options).await?;
    let config = tls::server_config(names.clone());
    let acceptor = TlsAcceptor::from(config.map_err(|error| StartError::internal("setting up TLS", &error))?);
    let entrance = Entrance { tls: acceptor, gate: Arc::new(Gate::open(Arc::clone(&ground.clock))) };

    let bound = bind_all(&options).await?;
    let ports = [bound[0].port, bound[1].port, bound[2].port];
    let token = ground.admin_token().await?;
    let manifest = manifest(&tenant, &ground.hubs, &token, ports)?;
    let remarks = bound.iter().filter_map(|bound| bound.instead.clone()).collect();

    let linked_hubs = Arc::new(LinkedHubs::new(Arc::clone(&ground.hubs), outgoing, Arc::clone(&ground.clock)));
    let watch = Arc::new(Watch::default());
    let engine = engine(&ground, &linked_hubs, &options)?.with_latency(latency).with_journal(Journal::start().watched_by(watch.clone()));
    let probing = probes::Probing { directory: Arc::clone(&ground.directory), probes: probed, entropy: Arc::clone(&ground.entropy) };
    let audit = AuditLog::start(ground.system.clone());
    let doors = Arc::new(Doors {
        started: engine.now(),
        leaving: AtomicBool::new(false),
        directory: Arc::clone(&ground.directory),
        engine,
        service: ServiceApi::new(Arc::clone(&ground.directory), Arc::clone(&ground.clock), Arc::clone(&ground.entropy))
            .with_audit(audit.clone()),
        management: management(&ground, &options, token, ports[0], names).await?.with_audit(audit),
        hubs: Arc::clone(&ground.hubs),
        hub_rest: HubRest::new(Arc::clone(&ground.hubs)),
        linked_hubs: Arc::clone(&linked_hubs),
        console: Console::new(ground.system.clone(), watch, Arc::clone(&ground.clock), Arc::clone(&ground.entropy))
            .with_issuer(oidc::IssuerLogin::new(options.oidc.as_ref())?),
    });
    // No other process can have the embedded store open: whatever is unfinished in it is this process's to finish.
    let mut open = Open::doors(&doors, &ground.clock, &entrance, bound, true);
    open.run(|stop| probing.run(stop));
    if let Some(backups) = ground.backups.take() {
        open.run(|stop| backups.serve(stop));
    }
    manifest.write(&options.state).map_err(|error| folder_error(&options.state, &error))?;
    let remote_hubs = links::remote(&tenant);
    Ok(Running { manifest, remarks, remote_hubs, hubs: ground.hubs, linked_hubs, folder: options.state, open })
}

/// The ports of HTTPS, MQTT and AMQP.
async fn bind_all(options: &DevOptions) -> Result<[Bound; 3], StartError> {
    Ok([
        bind(&options.bind, options.https_port, 443, 8443).await?,
        bind(&options.bind, options.mqtts_port, 8883, 8883).await?,
        bind(&options.bind, options.amqps_port, 5671, 5671).await?,
    ])
}

/// The certificate's names, under the dev CA, whose root is put where clients find it.
async fn served_names(ground: &Ground, options: &DevOptions) -> Result<Arc<ServedNames>, StartError> {
    let ca = ground.ca().await?;
    std::fs::write(options.state.join(TRUST), &ca.certificate).map_err(|error| folder_error(&options.state, &error))?;
    let services = ground.directory.services().await.map_err(|error| unreadable(&error))?;
    let names = ServedNames::new(ca, Arc::clone(&ground.clock), server_names(options, &ground.hubs, &services));
    names.map(Arc::new).map_err(|why| StartError::internal("issuing the server's certificate", &why))
}

fn engine(ground: &Ground, hubs: &Arc<LinkedHubs>, options: &DevOptions) -> Result<Engine, StartError> {
    Ok(Engine::new(Ports {
        directory: Arc::clone(&ground.directory),
        hubs: hubs.clone(),
        webhook: webhook::webhook(options.webhook_trust.as_slice(), "--webhook-trust")?,
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
    })
    .with_external_authority(Arc::new(EstClient::default())))
}

async fn management(
    ground: &Ground,
    options: &DevOptions,
    token: Secret,
    https_port: u16,
    names: Arc<ServedNames>,
) -> Result<ManagementApi, StartError> {
    let ports = ManagementPorts {
        directory: Arc::clone(&ground.directory),
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
        site: Arc::new(ServerSite { hubs: Arc::clone(&ground.hubs), names }),
    };
    let settings =
        ManagementSettings { token, device_host: DEVICE_HOST.into(), domain: SERVICE_DOMAIN.into(), https_port, limits: options.limits };
    let login = login_key::login(&ground.system, ground.entropy.as_ref()).await?;
    let oidc = oidc::verifier(options.oidc.as_ref(), &ground.clock)?;
    Ok(ManagementApi::new(ports, settings).with_login(login).with_oidc(oidc).with_cryptography(&crate::Cryptography::of_this_program()?))
}
