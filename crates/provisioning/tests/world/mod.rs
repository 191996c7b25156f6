//! A small world to register devices in: a store in memory, two fake hubs, a clock that stands still, chance from a seed.

#![allow(clippy::unwrap_used, dead_code)]

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use usher_attestation::sas;
use usher_domain::{
    HubName, IdScope, RegistrationId, Secret, ServiceError, Timestamp,
    clock::{ManualClock, SeededEntropy},
    document::{EnrollmentDocument, OperationStatusDocument},
    enrollment::AllocationPolicy,
    service::{AccessPolicy, HubConnection, LinkedHub, ProvisioningService, Right},
    service_limits::ServiceLimits,
};
use usher_hub::fake::{FakeHub, FakeHubs};
use usher_provisioning::{Claim, Engine, Evidence, Ports, Reply, Transport};
use usher_registry::{Directory, IfMatch, Kind, Tenant};
use usher_seal::MasterKey;
use usher_store::memory::MemoryStore;
use usher_webhook::fake::FakeWebhook;

pub const KEY: [u8; 32] = [7; 32];
pub const SCOPE: &str = "0neWORLD";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub struct World {
    pub store: MemoryStore,
    pub a: FakeHub,
    pub b: FakeHub,
    pub webhook: FakeWebhook,
    pub clock: Arc<ManualClock>,
    pub directory: Arc<Directory>,
    pub engine: Engine,
    entropy: Arc<SeededEntropy>,
    master: MasterKey,
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let (store, master) = (MemoryStore::default(), MasterKey::generate().unwrap());
        let (clock, entropy) = (Arc::new(ManualClock::at(START)), Arc::new(SeededEntropy::new(seed)));
        let (a, b, webhook) = (FakeHub::default(), FakeHub::default(), FakeWebhook::default());
        let directory = Arc::new(Directory::open(Arc::new(store.clone()), master.clone()).await.unwrap());
        directory.create(service("world", SCOPE, "world.example")).await.unwrap();
        let engine = engine(&directory, [&a, &b], &webhook, &clock, &entropy);
        Self { store, a, b, webhook, clock, directory, engine, entropy, master }
    }

    /// As if the process had died and begun again: everything in memory is gone, store and hubs are not.
    pub async fn restart(&mut self) {
        self.directory = Arc::new(Directory::open(Arc::new(self.store.clone()), self.master.clone()).await.unwrap());
        self.engine = engine(&self.directory, [&self.a, &self.b], &self.webhook, &self.clock, &self.entropy);
    }

    pub async fn tenant(&self) -> Tenant {
        self.directory.by_name("world").await.unwrap().unwrap()
    }

    pub async fn enroll(&self, kind: Kind, id: &str, document: Value) {
        let document: EnrollmentDocument = serde_json::from_value(document).unwrap();
        self.tenant().await.put_enrollment(kind, id, document, IfMatch::Unsaid, START).await.unwrap();
    }

    /// An individual enrollment with the world's key, and what `extra` says.
    pub async fn enroll_device(&self, id: &str, extra: Value) {
        let mut document = json!({
            "registrationId": id,
            "attestation": { "type": "symmetricKey", "symmetricKey": { "primaryKey": STANDARD.encode(KEY), "secondaryKey": STANDARD.encode(KEY) } },
        });
        merge(&mut document, extra);
        self.enroll(Kind::Individual, id, document).await;
    }

    pub fn claim(&self, id: &str, key: &[u8]) -> Claim {
        self.claim_in(SCOPE, id, key)
    }

    pub fn claim_in(&self, scope: &str, id: &str, key: &[u8]) -> Claim {
        let token = sas::sign(&format!("{scope}/registrations/{id}"), key, self.engine.now().secs() + 3_600, Some("registration"));
        Claim {
            id_scope: IdScope::parse(scope).unwrap(),
            claimed_id: RegistrationId::parse(id).unwrap(),
            api_version: "2019-03-31".into(),
            evidence: Evidence { certificates: Vec::new(), sas_token: Some(token), tpm: None },
            tracking_id: self.engine.new_tracking_id(),
            transport: Transport::Mqtt,
            peer: None,
        }
    }

    pub async fn register(&self, id: &str) -> Result<OperationStatusDocument, ServiceError> {
        self.register_as(&self.claim(id, &KEY), b"").await
    }

    pub async fn register_as(&self, claim: &Claim, body: &[u8]) -> Result<OperationStatusDocument, ServiceError> {
        match self.engine.register(claim, body).await? {
            Reply::Status(document) => Ok(*document),
            Reply::Challenge(_) => panic!("a challenge without a TPM"),
        }
    }

    pub async fn poll(&self, id: &str, operation: &str) -> Result<OperationStatusDocument, ServiceError> {
        self.engine.operation_status(&self.claim(id, &KEY), operation).await
    }

    /// The hubs that have the device.
    pub fn hubs_with(&self, id: &str) -> Vec<&'static str> {
        [("a.example", &self.a), ("b.example", &self.b)].into_iter().filter(|(_, hub)| hub.device(id).is_some()).map(|(n, _)| n).collect()
    }

    pub async fn metered(&self) -> i64 {
        self.tenant().await.registry.usage(&self.engine.now().month()).await.unwrap()
    }
}

pub fn service(name: &str, scope: &str, host: &str) -> ProvisioningService {
    let key = || Secret::new(STANDARD.encode([1; 32]));
    let hub = |name: &str| LinkedHub {
        name: HubName::parse(name).unwrap(),
        region: "here".into(),
        weight: 1,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    };
    ProvisioningService {
        name: name.into(),
        tenant: 0,
        id_scope: IdScope::parse(scope).unwrap(),
        host_name: host.into(),
        policies: vec![AccessPolicy { name: "owner".into(), primary: key(), secondary: key(), rights: Right::ALL.to_vec() }],
        hubs: vec![hub("a.example"), hub("b.example")],
        allocation: AllocationPolicy::Hashed,
        resource: usher_domain::service::ResourceMetadata::default(),
        limits: ServiceLimits::NONE,
    }
}

fn engine(
    directory: &Arc<Directory>,
    [a, b]: [&FakeHub; 2],
    webhook: &FakeWebhook,
    clock: &Arc<ManualClock>,
    entropy: &Arc<SeededEntropy>,
) -> Engine {
    let name = |text: &str| HubName::parse(text).unwrap();
    let hubs = FakeHubs(BTreeMap::from([(name("a.example"), a.clone()), (name("b.example"), b.clone())]));
    Engine::new(Ports {
        directory: Arc::clone(directory),
        hubs: Arc::new(hubs),
        webhook: Arc::new(webhook.clone()),
        clock: clock.clone(),
        entropy: entropy.clone(),
    })
}

fn merge(into: &mut Value, extra: Value) {
    if let (Some(into), Value::Object(extra)) = (into.as_object_mut(), extra) {
        into.extend(extra);
    }
}
