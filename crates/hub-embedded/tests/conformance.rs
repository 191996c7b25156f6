//! The embedded hub does what every hub must, over a store that fails in the middle.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use usher_domain::{
    DeviceId, HubName, Timestamp,
    clock::{ManualClock, SeededEntropy},
    hub_device::{DeviceCredential, DeviceSpec},
};
use usher_hub::{
    BoxFuture, Hub,
    conformance::{self, Subject},
};
use usher_hub_embedded::{EmbeddedHub, EmbeddedHubs, device::Authentication};
use usher_records::Vault;
use usher_seal::MasterKey;
use usher_store::{
    TenantId,
    memory::{Fault, MemoryStore},
};

struct Embedded {
    store: MemoryStore,
    hub: Arc<EmbeddedHub>,
}

impl Subject for Embedded {
    fn hub(&self) -> &dyn Hub {
        self.hub.as_ref()
    }

    fn break_after(&self, changes: usize) {
        self.store.fail_next([if changes == 0 { Fault::Before } else { Fault::After }]);
    }

    fn mend(&self) {
        self.store.fail_next([]);
    }

    fn identity<'a>(&'a self, id: &'a DeviceId) -> BoxFuture<'a, Option<DeviceSpec>> {
        Box::pin(async move {
            let device = self.hub.device(id).await.ok()?;
            let credential = match device.authentication {
                Authentication::Sas { primary, secondary } => DeviceCredential::SymmetricKeys { primary, secondary },
                Authentication::SelfSigned { primary, secondary } => DeviceCredential::Thumbprints { primary: primary?, secondary },
                Authentication::CertificateAuthority => DeviceCredential::CertificateAuthority,
            };
            Some(DeviceSpec { device_id: device.device_id, credential, iot_edge: device.iot_edge })
        })
    }
}

#[tokio::test]
async fn the_embedded_hub_conforms() {
    let store = MemoryStore::default();
    let vault = Vault::open_tenant(Arc::new(store.clone()), &MasterKey::generate().unwrap(), TenantId(7)).await.unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
    let hubs = EmbeddedHubs::open(vault, clock, Arc::new(SeededEntropy::new(1))).await.unwrap();
    let hub = hubs.ensure(&HubName::parse("hub.example").unwrap()).await.unwrap();
    conformance::all(&Embedded { store, hub }).await;
}
