//! `usher dev`: a complete service in one process, its state in one folder.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio_rustls::TlsAcceptor;
use usher_api_hub::HubRest;
use usher_api_management::{ManagementApi, Ports as ManagementPorts, Settings as ManagementSettings};
use usher_domain::{
    HubName, IdScope, Secret,
    clock::{Clock, Entropy},
    enrollment::AllocationPolicy,
    ids::hex,
    service::{HubConnection, LinkedHub, ProvisioningService},
    service_limits::ServiceLimits,
};
use usher_hub_embedded::EmbeddedHubs;
use usher_provisioning::{Engine, Journal, Ports};
use usher_records::Vault;
use usher_registry::{Directory, Tenant};
use usher_seal::MasterKey;
use usher_store::{Expect, Space, Store, TenantId};
use usher_store_embedded::EmbeddedStore;

use crate::{
    StartError,
    ambient::{SystemClock, SystemEntropy},
    dev_ca::DevCa,
    dev_limits,
    doors::Doors,
    latency,
    linked_hubs::LinkedHubs,
    links::{self, RemoteLink},
    login_key,
    manifest::{DeviceEndpoint, HubEndpoint, ManagementEndpoint, Manifest, ServiceEndpoint},
    oidc::{self, OidcOptions},
    ports::bind,
    probes,
    served_names::ServedNames,
    site::ServerSite,
    tls, trust, webhook,
    wiring::{self, Open},
};

/// Where the dev CA lies, under tenant 0.
const DEV_CA: Space = Space(100);
/// Where the admin token lies, under tenant 0.
const ADMIN: Space = Space(101);
/// The device endpoint's name.
const DEVICE_HOST: &str = "localhost";
/// A service made through the management API is named `{name}.localhost` (RFC 6761 section 6.3: such names lead to the own machine).
const SERVICE_DOMAIN: &str = "localhost";
/// The root certificate's file.
const TRUST: &str = "ca.pem";
/// Time for open requests and operations to end once the server is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// What `usher dev` is told.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The state folder.
    pub state: PathBuf,
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// HTTPS port; the usual 443, else 8443, where `None`; any free one for 0.
    pub https_port: Option<u16>,
    /// MQTT port; 8883 where `None`.
    pub mqtts_port: Option<u16>,
    /// AMQP port; 5671 where `None`.
    pub amqps_port: Option<u16>,
    /// Hubs with their regions.
    pub hubs: Vec<(HubName, String)>,
    /// Remote hubs to link, with their regions.
    pub links: Vec<RemoteLink>,
    /// Root certificates that remote hubs may have besides the machine's, PEM.
    pub hub_trust: Vec<PathBuf>,
    /// The ID scope; generated where `None`.
    pub id_scope: Option<IdScope>,
    /// The service's name.
    pub name: String,
    /// PEM file of CAs that allocation webhooks may have their certificates from, beside the machine's roots.
    pub webhook_trust: Option<PathBuf>,
    /// A latency table for allocation by lowest latency.
    pub latency: Option<PathBuf>,
    /// Whose tokens open the management API besides the installation's own.
    pub oidc: Option<OidcOptions>,
    /// The limits of all services, from this start on.
    pub limits: ServiceLimits,
}

impl DevOptions {
    /// The defaults, with state in `state`.
    pub fn in_folder(state: PathBuf) -> Self {
        Self {
            state,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            https_port: None,
            mqtts_port: None,
            amqps_port: None,
            hubs: Vec::new(),
            links: Vec::new(),
            hub_trust: Vec::new(),
            id_scope: None,
            name: "dev".into(),
            webhook_trust: None,
            latency: None,
            oidc: None,
            // Throttling would only make tests slow; it is no part of what they test, unless they ask for it.
            limits: ServiceLimits::NONE,
        }
    }
}

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
    make_folder(&options.state)?;
    let (store, master) = open_store(&options.state)?;
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let oidc = oidc::verifier(options.oidc.as_ref(), &clock)?;
    let system = Vault::open_tenant(Arc::clone(&store), &master, TenantId(0)).await.map_err(|error| unreadable(&error))?;
    let hubs = EmbeddedHubs::open(system.clone(), Arc::clone(&clock), Arc::clone(&entropy)).await;
    let hubs = Arc::new(hubs.map_err(|error| StartError::internal("opening the hubs", &error))?);
    let directory = Directory::open(Arc::clone(&store), master).await.map_err(|error| unreadable(&error))?;
    let directory = Arc::new(directory);
    let tenant = ensure_service(&directory, &hubs, &options, entropy.as_ref()).await?;
    dev_limits::set(&directory, options.limits).await?;

    let ca = ensure_ca(&system, clock.as_ref(), entropy.as_ref()).await?;
    std::fs::write(options.state.join(TRUST), &ca.certificate).map_err(|error| folder_error(&options.state, &error))?;
    let services = directory.services().await.map_err(|error| unreadable(&error))?;
    let names = ServedNames::new(ca, Arc::clone(&clock), server_names(&options, &hubs, &services));
    let names = Arc::new(names.map_err(|why| StartError::internal("issuing the server's certificate", &why))?);
    let config = tls::server_config(names.clone());
    let acceptor = TlsAcceptor::from(config.map_err(|error| StartError::internal("setting up TLS", &error))?);

    let https_port = bind(&options.bind, options.https_port, 443, 8443).await?;
    let mqtts_port = bind(&options.bind, options.mqtts_port, 8883, 8883).await?;
    let amqps_port = bind(&options.bind, options.amqps_port, 5671, 5671).await?;
    let token = ensure_admin_token(&system, entropy.as_ref()).await?;
    let login = login_key::login(&system, entropy.as_ref()).await?;
    let manifest = manifest(&tenant, &hubs, &token, [https_port.port, mqtts_port.port, amqps_port.port])?;
    let remarks = [&https_port, &mqtts_port, &amqps_port].into_iter().filter_map(|bound| bound.instead.clone()).collect();

    let linked_hubs = Arc::new(LinkedHubs::new(Arc::clone(&hubs), outgoing, Arc::clone(&clock)));
    let ports = Ports {
        directory: Arc::clone(&directory),
        hubs: linked_hubs.clone(),
        webhook: webhook::webhook(options.webhook_trust.as_slice(), "--webhook-trust")?,
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
    };
    let engine = Engine::new(ports).with_latency(latency).with_journal(Journal::start());
    let probing = probes::Probing { directory: Arc::clone(&directory), probes: probed, entropy: Arc::clone(&entropy) };
    let management = ManagementApi::new(
        ManagementPorts {
            directory: Arc::clone(&directory),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            site: Arc::new(ServerSite { hubs: Arc::clone(&hubs), names }),
        },
        ManagementSettings {
            token,
            device_host: DEVICE_HOST.into(),
            domain: SERVICE_DOMAIN.into(),
            https_port: https_port.port,
            limits: options.limits,
        },
    )
    .with_login(login)
    .with_oidc(oidc);
    let service = usher_api_service::ServiceApi::new(Arc::clone(&directory), Arc::clone(&clock), entropy);
    let hub_rest = HubRest::new(Arc::clone(&hubs));
    let started = engine.now();
    let doors = Arc::new(Doors {
        started,
        directory,
        engine,
        service,
        management,
        hubs: Arc::clone(&hubs),
        hub_rest,
        linked_hubs: Arc::clone(&linked_hubs),
    });
    // No other process can have the embedded store open: whatever is unfinished in it is this process's to finish.
    let mut open = Open::doors(&doors, &clock, &acceptor, [https_port, mqtts_port, amqps_port], true);
    open.run(|stop| probing.run(stop));
    manifest.write(&options.state).map_err(|error| folder_error(&options.state, &error))?;
    let remote_hubs = links::remote(&tenant);
    Ok(Running { manifest, remarks, remote_hubs, hubs, linked_hubs, folder: options.state, open })
}

fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| folder_error(folder, &error))
}

fn open_store(folder: &Path) -> Result<(Arc<dyn Store>, MasterKey), StartError> {
    let path = folder.join("store");
    // Without its key an existing store is lost; a new key would only hide that.
    let master = MasterKey::from_file(&folder.join("master.key"), !path.exists()).map_err(|error| {
        let next = "Put the key back that this state folder was made with, or start with a new folder (--state).";
        StartError::new(format!("the master key {}: {error}", folder.join("master.key").display()), next)
    })?;
    let store = EmbeddedStore::open(&path).map_err(|error| StartError::new("the state cannot be opened", error.to_string()))?;
    Ok((Arc::new(store), master))
}

/// The service of the wanted name, made on the first start; later starts link hubs that are new.
async fn ensure_service(
    directory: &Directory,
    hubs: &EmbeddedHubs,
    options: &DevOptions,
    entropy: &dyn Entropy,
) -> Result<Tenant, StartError> {
    let found = directory.by_name(&options.name).await.map_err(|error| unreadable(&error))?;
    let mut wanted = options.hubs.clone();
    if wanted.is_empty() && found.is_none() {
        let default = HubName::parse("localhost").map_err(|error| StartError::internal("the default hub", &error))?;
        wanted.push((default, "local".into()));
    }
    for (name, _) in &wanted {
        hubs.ensure(name).await.map_err(|error| StartError::internal("making a hub", &error))?;
    }
    let tenant = match found {
        None => directory.create(new_service(options, wanted, entropy)?).await.map_err(refused)?,
        Some(tenant) => link_new_hubs(directory, tenant, options, wanted).await?,
    };
    links::ensure(directory, tenant, &options.links).await
}

pub(crate) fn refused(error: usher_domain::ServiceError) -> StartError {
    StartError::new(format!("the provisioning service cannot be set up: {}", error.message), "Correct the option that is named.")
}

fn new_service(options: &DevOptions, hubs: Vec<(HubName, String)>, entropy: &dyn Entropy) -> Result<ProvisioningService, StartError> {
    let id_scope = match &options.id_scope {
        Some(scope) => scope.clone(),
        None => wiring::new_id_scope(entropy)?,
    };
    Ok(ProvisioningService {
        name: options.name.clone(),
        tenant: 0,
        id_scope,
        host_name: "localhost".into(),
        policies: vec![wiring::owner(entropy)],
        hubs: hubs.into_iter().map(|(name, region)| linked(name, region)).collect(),
        allocation: AllocationPolicy::Hashed,
        resource: usher_domain::service::ResourceMetadata::default(),
        limits: options.limits,
    })
}

fn linked(name: HubName, region: String) -> LinkedHub {
    LinkedHub { name, region, weight: 1, apply_allocation_policy: true, connection: HubConnection::Embedded }
}

async fn link_new_hubs(
    directory: &Directory,
    tenant: Tenant,
    options: &DevOptions,
    wanted: Vec<(HubName, String)>,
) -> Result<Tenant, StartError> {
    if let Some(scope) = &options.id_scope
        && !scope.as_str().eq_ignore_ascii_case(tenant.service.id_scope.as_str())
    {
        let what = format!("this state folder's service {} has the ID scope {}, not {scope}", options.name, tenant.service.id_scope);
        return Err(StartError::new(what, "An ID scope never changes: leave --id-scope out, or start with a new folder (--state)."));
    }
    let new: Vec<_> = wanted.into_iter().filter(|(name, _)| tenant.service.hub(name).is_none()).collect();
    let stored = directory.service(&options.name).await.map_err(|error| unreadable(&error))?;
    if let (false, Some(mut stored)) = (new.is_empty(), stored) {
        stored.value.hubs.extend(new.into_iter().map(|(name, region)| linked(name, region)));
        directory.update(stored.value, stored.etag).await.map_err(refused)?;
    }
    let found = directory.by_name(&options.name).await.map_err(|error| unreadable(&error))?;
    found.ok_or_else(|| StartError::internal("the service", &"it is gone"))
}

async fn ensure_ca(system: &Vault, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<DevCa, StartError> {
    let key = system.key(DEV_CA, "root");
    if let Some(found) = system.get::<DevCa>(&key).await.map_err(|error| unreadable(&error))? {
        return Ok(found.value);
    }
    let mut serial = [0; 4];
    entropy.fill(&mut serial);
    let ca = DevCa::generate(&hex(&serial), clock.now()).map_err(|error| StartError::internal("making the dev CA", &error))?;
    let (op, _) = system.put(key, Expect::Absent, &ca).map_err(|error| unreadable(&error))?;
    system.commit(vec![op]).await.map_err(|error| unreadable(&error))?;
    Ok(ca)
}

/// The token of the management API, made on the first start.
async fn ensure_admin_token(system: &Vault, entropy: &dyn Entropy) -> Result<Secret, StartError> {
    let key = system.key(ADMIN, "token");
    if let Some(found) = system.get::<Secret>(&key).await.map_err(|error| unreadable(&error))? {
        return Ok(found.value);
    }
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let token = Secret::new(hex(&random));
    let (op, _) = system.put(key, Expect::Absent, &token).map_err(|error| unreadable(&error))?;
    system.commit(vec![op]).await.map_err(|error| unreadable(&error))?;
    Ok(token)
}

/// Every name under which clients may reach this server.
fn server_names(options: &DevOptions, hubs: &EmbeddedHubs, services: &[Arc<ProvisioningService>]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(services.iter().map(|service| service.host_name.clone()));
    names.extend(hubs.names().iter().map(|name| name.to_string()));
    names.extend(options.bind.iter().filter(|address| !address.is_unspecified()).map(|address| address.to_string()));
    names
}

fn manifest(tenant: &Tenant, hubs: &EmbeddedHubs, token: &Secret, [https, mqtts, amqps]: [u16; 3]) -> Result<Manifest, StartError> {
    // SDKs take a host name as it stands, port included, and assume 443 without one.
    let with_port = |host: &str| if https == 443 { host.to_owned() } else { format!("{host}:{https}") };
    let service = &tenant.service;
    let policy = service.policies.first().ok_or_else(|| StartError::internal("the service", &"it has no access policy"))?;
    let connection_string = format!(
        "HostName={};SharedAccessKeyName={};SharedAccessKey={}",
        with_port(&service.host_name),
        policy.name,
        policy.primary.expose()
    );
    let hub_endpoint = |linked: &LinkedHub| {
        let hub = hubs.get(&linked.name)?;
        let owner = hub.policies().into_iter().next()?;
        let connection_string = owner.connection_string(&with_port(linked.name.as_str())).expose().to_owned();
        Some(HubEndpoint { host_name: linked.name.to_string(), connection_string })
    };
    Ok(Manifest {
        id_scope: service.id_scope.to_string(),
        device: DeviceEndpoint { host: DEVICE_HOST.into(), https, mqtts, amqps },
        service: ServiceEndpoint { connection_string },
        management: ManagementEndpoint {
            url: format!("https://{}", with_port(DEVICE_HOST)),
            token: token.expose().to_owned(),
            resource_id: usher_api_management::resource_id_of(service),
        },
        hubs: service.hubs.iter().filter_map(hub_endpoint).collect(),
        trust: TRUST.into(),
    })
}

pub(crate) fn unreadable(error: &usher_records::RecordError) -> StartError {
    let next = "If the master key was replaced, put the old one back; if files were damaged, restore a backup or use a new folder.";
    StartError::new(format!("the state cannot be read: {error}"), next)
}

fn folder_error(folder: &Path, error: &std::io::Error) -> StartError {
    StartError::new(format!("the state folder {}: {error}", folder.display()), "Choose a folder that this user may write (--state).")
}
