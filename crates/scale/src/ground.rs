//! What is measured: a store with the service on it, put together as the server does it, without listeners.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use usher_domain::{
    DeviceId, HubName, IdScope,
    clock::{Clock, Entropy},
    document::RegistrationStateDocument,
    enrollment::AllocationPolicy,
    service::{HubConnection, LinkedHub, ProvisioningService, ResourceMetadata},
    service_limits::ServiceLimits,
};
use usher_hub::Hub as _;
use usher_hub_embedded::{EmbeddedHub, EmbeddedHubs};
use usher_provisioning::{Abandoned, Engine, Journal, Ports, Reply};
use usher_records::Vault;
use usher_registry::{Directory, Tenant};
use usher_seal::MasterKey;
use usher_store::{Store, TenantId};
use usher_store_embedded::EmbeddedStore;
use usher_store_postgres::{Options, PostgresStore};
use usher_webhook::fake::FakeWebhook;

use crate::{
    Outcome,
    ambient::{RunningClock, SystemEntropy},
    device::Device,
};

/// The service's name, and its ID scope. The folder is one that `usher dev` starts on, so the name is that of its service.
const SERVICE: (&str, &str) = ("dev", "0neSCALE001");
/// Its hub.
const HUB: &str = "localhost";

/// Between two polls of a device whose operation takes longer.
const POLL_AFTER: Duration = Duration::from_millis(20);

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder, which has the master key in it.
    pub folder: PathBuf,
    /// The database; the embedded store in the folder where there is none.
    pub database: Option<String>,
}

/// The opened store with the service on it.
pub struct Ground {
    /// The store.
    pub store: Arc<dyn Store>,
    pub(crate) master: MasterKey,
    /// The time.
    pub clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    hubs: Arc<EmbeddedHubs>,
    /// The provisioning service.
    pub tenant: Tenant,
    engine: Engine,
    /// How long it took to open everything that a server opens before it listens, and to look for operations that were left unfinished.
    pub opened_in: Duration,
}

impl Ground {
    /// Opens what is in a place, making it where there is nothing.
    pub async fn open(place: &Place) -> Outcome<Self> {
        fs::create_dir_all(&place.folder)?;
        let master = MasterKey::from_file(&place.folder.join("master.key"), true)?;
        let started = Instant::now();
        let store = open_store(place).await?;
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(RunningClock::start()), Arc::new(SystemEntropy));
        let system = Vault::open_tenant(Arc::clone(&store), &master, TenantId(0)).await?;
        let hubs = Arc::new(EmbeddedHubs::open(system, Arc::clone(&clock), Arc::clone(&entropy)).await?);
        hubs.ensure(&HubName::parse(HUB).map_err(|why| why.0)?).await?;
        let directory = Arc::new(Directory::open(Arc::clone(&store), master.clone()).await?);
        let tenant = match directory.by_name(SERVICE.0).await? {
            Some(tenant) => tenant,
            None => directory.create(service()?).await.map_err(|error| error.message)?,
        };
        let ports = Ports {
            directory,
            hubs: hubs.clone(),
            // No device here is allocated by one.
            webhook: Arc::new(FakeWebhook::default()),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        };
        let engine = Engine::new(ports).with_journal(Journal::start());
        engine.look(Abandoned::Expired).await?;
        let opened_in = started.elapsed();
        Ok(Self { store, master, clock, entropy, hubs, tenant, engine, opened_in })
    }

    /// Enrolls a device, as an operator would.
    pub async fn enroll(&self, device: &Device) -> Outcome<()> {
        let (kind, unsaid) = (usher_registry::Kind::Individual, usher_registry::IfMatch::Unsaid);
        let put = self.tenant.put_enrollment(kind, device.id.as_str(), device.enrollment()?, unsaid, self.clock.now()).await;
        put.map_err(|error| error.message)?;
        Ok(())
    }

    /// Registers a device all the way; it is an error where it is not assigned at once.
    pub async fn register(&self, device: &Device) -> Outcome<RegistrationStateDocument> {
        let claim = device.claim(&self.tenant.service.id_scope, self.engine.new_tracking_id(), self.clock.now())?;
        let Reply::Status(mut status) = self.engine.register(&claim, b"").await.map_err(|error| error.message)? else {
            return Err("a challenge for a device without a TPM".into());
        };
        // It takes longer: the device polls, as devices do.
        while status.status == "assigning" {
            tokio::time::sleep(POLL_AFTER).await;
            *status = self.engine.operation_status(&claim, &status.operation_id).await.map_err(|error| error.message)?;
        }
        match status.registration_state {
            Some(state) if status.status == "assigned" => Ok(state),
            _ => Err(format!("{} is {}", device.id, status.status).into()),
        }
    }

    /// Takes a device off its hub.
    pub async fn leave_hub(&self, device: &Device) -> Outcome<()> {
        let id = DeviceId::parse(device.id.as_str()).map_err(|why| why.0)?;
        Ok(self.hub()?.delete_device(&id).await?)
    }

    /// The hub.
    pub fn hub(&self) -> Outcome<Arc<EmbeddedHub>> {
        Ok(self.hubs.get(&HubName::parse(HUB).map_err(|why| why.0)?).ok_or("the hub is gone")?)
    }

    /// Waits until what was done in the background is written, too.
    pub async fn drain(&self) {
        self.engine.drain(Duration::from_secs(60)).await;
    }

    /// Enrollments, registrations, devices on the hub, and operations metered this month, by their counters.
    pub async fn counts(&self) -> Outcome<[i64; 4]> {
        let registry = &self.tenant.registry;
        let devices = i64::try_from(self.hub()?.statistics().await?.total)?;
        let registrations = registry.registrations_held().await?;
        Ok([registry.individuals_held().await?, registrations, devices, registry.usage(&self.clock.now().month()).await?])
    }
}

async fn open_store(place: &Place) -> Outcome<Arc<dyn Store>> {
    Ok(match &place.database {
        None => Arc::new(EmbeddedStore::open(&place.folder.join("store"))?),
        Some(address) => Arc::new(PostgresStore::open(address, &Options::default()).await?),
    })
}

fn service() -> Outcome<ProvisioningService> {
    let hub = LinkedHub {
        name: HubName::parse(HUB).map_err(|why| why.0)?,
        region: "local".into(),
        weight: 1,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    };
    Ok(ProvisioningService {
        name: SERVICE.0.into(),
        tenant: 0,
        id_scope: IdScope::parse(SERVICE.1).map_err(|why| why.0)?,
        host_name: "localhost".into(),
        // Nobody calls its service API.
        policies: Vec::new(),
        hubs: vec![hub],
        allocation: AllocationPolicy::Hashed,
        resource: ResourceMetadata::default(),
        limits: ServiceLimits::NONE,
    })
}
