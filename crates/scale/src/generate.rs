//! Makes the records of enrolled and registered devices, by the code that the service makes them with: the registry writes enrollment and
//! registration, the embedded hub the device.
//!
//! Only the steps in between are left out: the registration is written as it stands at the end of its operation. What it holds then is
//! taken from a device that went the whole way.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use usher_domain::{
    DeviceId, OperationId, RegistrationId,
    clock::{Clock, Entropy},
    hub_device::DeviceSpec,
    registration::{Registration, State},
};
use usher_hub::{Hub, TwinWrite};
use usher_hub_embedded::{EmbeddedHub, EmbeddedHubs, hub::DEVICES};
use usher_records::Vault;
use usher_registry::{IfMatch, Kind, Registry, Tenant};
use usher_store::{Op, Space, TenantId};

use crate::{Outcome, device::Device, ground::Ground, staging::Staging};

/// The registry's tables, by their numbers on disk. Only the order of writing rests on them: a wrong one would cost time and nothing else.
const INDIVIDUAL: Space = Space(8);
const REGISTRATION: Space = Space(12);

/// What is made of a device, a record each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Its enrollment.
    Enroll,
    /// Its registration.
    Register,
    /// The device on its hub.
    Place,
}

/// Makes records for one commit after another.
pub struct Generator {
    /// The service's records, and those of the hubs.
    services: Vault,
    system: Vault,
    staging: Arc<Staging>,
    tenant: Tenant,
    hub: Arc<EmbeddedHub>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The registration of a device that went the whole way.
    pattern: Registration,
}

impl Generator {
    /// For the service of `ground`; `pattern` is the registration of a device of it.
    pub async fn new(ground: &Ground, pattern: Registration) -> Outcome<Self> {
        let staging = Arc::new(Staging::new(Arc::clone(&ground.store)));
        let service = Arc::clone(&ground.tenant.service);
        let vault = |tenant| Vault::open_tenant(staging.clone(), &ground.master, TenantId(tenant));
        let (services, system) = (vault(service.tenant).await?, vault(0).await?);
        let registry = Registry::new(services.clone());
        let hubs = EmbeddedHubs::open(system.clone(), Arc::clone(&ground.clock), Arc::clone(&ground.entropy)).await?;
        let name = &pattern.state.assignment().ok_or("the pattern is not assigned")?.hub;
        let hub = hubs.get(name).ok_or("the pattern's hub is gone")?;
        staging.collect();
        let (clock, entropy) = (Arc::clone(&ground.clock), Arc::clone(&ground.entropy));
        Ok(Self { services, system, staging, tenant: Tenant { service, registry }, hub, clock, entropy, pattern })
    }

    /// Enrolls a device.
    pub async fn enroll(&self, device: &Device) -> Outcome<()> {
        let (id, now) = (device.id.as_str(), self.clock.now());
        let put = self.tenant.put_enrollment(Kind::Individual, id, device.enrollment()?, IfMatch::Unsaid, now).await;
        put.map_err(|error| error.message)?;
        Ok(())
    }

    /// Puts a device on its hub.
    pub async fn place(&self, device: &Device) -> Outcome<()> {
        let device_id = DeviceId::parse(device.id.as_str()).map_err(|why| why.0)?;
        let spec = DeviceSpec { device_id, credential: device.credential(), iot_edge: false };
        Ok(self.hub.ensure_device(&spec, TwinWrite::IfCreated(&device.twin())).await?)
    }

    /// Registers a device, metered, as one that is on its hub.
    pub async fn register(&self, device: &Device) -> Outcome<()> {
        let device_id = DeviceId::parse(device.id.as_str()).map_err(|why| why.0)?;
        let mut random = [0; 24];
        self.entropy.fill(&mut random);
        let mut registration = self.pattern.clone();
        let State::Assigned { operation_id, assignment, .. } = &mut registration.state else { return Err("no pattern".into()) };
        *operation_id = OperationId::from_random(random);
        assignment.device_id = device_id;
        registration.registration_id = device.id.clone();
        (registration.created_at, registration.updated_at) = (self.clock.now(), self.clock.now());
        let metered = self.tenant.registry.meter(self.clock.now());
        let saved = self.tenant.save_first_registration(&registration, vec![metered]).await;
        saved.map_err(|error| error.message)?;
        Ok(())
    }

    /// Does one step for a device.
    pub async fn step(&self, step: Step, device: &Device) -> Outcome<()> {
        match step {
            Step::Enroll => self.enroll(device).await,
            Step::Register => self.register(device).await,
            Step::Place => self.place(device).await,
        }
    }

    /// The place of the record that a step makes, for putting devices in order.
    pub fn address(&self, step: Step, id: &RegistrationId) -> Vec<u8> {
        let id = id.as_str();
        match step {
            Step::Enroll => self.services.key(INDIVIDUAL, id).key,
            Step::Register => self.services.key(REGISTRATION, id).key,
            // All are on one hub, whose name comes first.
            Step::Place => self.system.key_of_bytes(DEVICES, id.as_bytes()).key,
        }
    }

    /// The commit of what was made since the last one.
    pub fn take(&self) -> Vec<Op> {
        self.staging.take()
    }
}
