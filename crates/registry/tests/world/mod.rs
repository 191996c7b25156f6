//! A provisioning service in memory, and the words in which the tests speak of it.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use usher_domain::{
    DeviceId, EnrollmentGroupId, ErrorCode, HubName, IdScope, OperationId, RegistrationId, Secret, ServiceError, Timestamp,
    document::EnrollmentDocument,
    enrollment::{AllocationPolicy, EnrollmentRef},
    hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
    registration::{Assignment, Operation, ProofSummary, Registration, State, Substatus},
    service::{AccessPolicy, HubConnection, LinkedHub, ProvisioningService, Right},
    service_limits::ServiceLimits,
};
use usher_registry::{Directory, IfMatch, Kind, Tenant, document_from_json};
use usher_seal::MasterKey;
use usher_store::memory::MemoryStore;

/// Base64 of 32 bytes.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Another one.
pub const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

/// 1 June 2026.
pub fn now() -> Timestamp {
    Timestamp::from_secs(1_780_272_000)
}

pub fn later() -> Timestamp {
    now().plus_millis(60_000)
}

/// A service with two linked hubs, and the store beneath.
pub struct World {
    pub store: MemoryStore,
    pub master: MasterKey,
    pub directory: Directory,
    pub tenant: Tenant,
}

pub async fn world() -> World {
    let (store, master) = (MemoryStore::default(), MasterKey::generate().unwrap());
    let directory = Directory::open(Arc::new(store.clone()), master.clone()).await.unwrap();
    let tenant = directory.create(service("plant", "0ne0000AAAA")).await.unwrap();
    World { store, master, directory, tenant }
}

/// A service that is not stored yet.
pub fn service(name: &str, id_scope: &str) -> ProvisioningService {
    ProvisioningService {
        name: name.into(),
        tenant: 0,
        id_scope: IdScope::parse(id_scope).unwrap(),
        host_name: format!("{name}.example"),
        policies: vec![AccessPolicy {
            name: "provisioningserviceowner".into(),
            primary: Secret::new(KEY),
            secondary: Secret::new(OTHER_KEY),
            rights: Right::ALL.to_vec(),
        }],
        hubs: ["hub-a.example", "hub-b.example"].map(linked).to_vec(),
        allocation: AllocationPolicy::Hashed,
        resource: usher_domain::service::ResourceMetadata::default(),
        limits: ServiceLimits::NONE,
    }
}

fn linked(name: &str) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        region: "west".into(),
        weight: 1,
        apply_allocation_policy: true,
        connection: HubConnection::Embedded,
    }
}

impl World {
    /// Writes an enrollment with no condition.
    pub async fn put(&self, kind: Kind, id: &str, body: Value) -> Result<Value, ServiceError> {
        self.put_if(kind, id, body, None).await
    }

    pub async fn put_if(&self, kind: Kind, id: &str, body: Value, if_match: Option<&str>) -> Result<Value, ServiceError> {
        let written = self.tenant.put_enrollment(kind, id, document(body)?, IfMatch::parse(if_match), now()).await?;
        Ok(serde_json::to_value(written).unwrap())
    }

    pub async fn get(&self, kind: Kind, id: &str) -> Result<Value, ServiceError> {
        let found = self.tenant.registry.enrollment_document(kind, id, now()).await?;
        Ok(serde_json::to_value(found).unwrap())
    }

    pub async fn delete(&self, kind: Kind, id: &str) -> Result<(), ServiceError> {
        self.tenant.registry.delete_enrollment(kind, id, IfMatch::Unsaid, now()).await
    }

    /// The status and message of a refused individual enrollment.
    pub async fn refusal(&self, kind: Kind, body: Value) -> (u16, String) {
        let id = body[kind.id_member()].as_str().unwrap_or("d").to_owned();
        let error = self.put(kind, &id, body).await.expect_err("the enrollment was to be refused");
        (error.code.status(), error.message)
    }

    pub async fn used(&self) -> i64 {
        self.tenant.registry.usage(&now().month()).await.unwrap()
    }
}

pub fn document(body: Value) -> Result<EnrollmentDocument, ServiceError> {
    document_from_json(body.to_string().as_bytes())
}

/// An individual enrollment with symmetric keys that the service makes.
pub fn individual(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

/// A group with symmetric keys that the service makes.
pub fn group(id: &str) -> Value {
    json!({"enrollmentGroupId": id, "attestation": {"type": "symmetricKey"}})
}

/// A document with some members replaced.
pub fn with(mut body: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A self-signed CA certificate of this name, PEM.
pub fn ca(name: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

/// A group enrolled with these CA certificates.
pub fn x509_group(id: &str, primary: &str, secondary: Option<&str>) -> Value {
    let slot = |text: &str| json!({"certificate": text});
    let pair = json!({"primary": slot(primary), "secondary": secondary.map(slot)});
    json!({"enrollmentGroupId": id, "attestation": {"type": "x509", "x509": {"signingCertificates": pair}}})
}

pub fn code<T>(result: Result<T, ServiceError>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

pub fn rid(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

pub fn of_group(id: &str) -> EnrollmentRef {
    EnrollmentRef::Group(EnrollmentGroupId::parse(id).unwrap())
}

/// A registration that is on its hub.
pub fn assigned(id: &str, enrollment: EnrollmentRef) -> Registration {
    let assignment = Assignment { hub: HubName::parse("hub-a.example").unwrap(), device_id: DeviceId::parse(id).unwrap(), payload: None };
    let operation_id = OperationId::from_random([1; 24]);
    registration(id, enrollment, State::Assigned { operation_id, assignment, substatus: Substatus::InitialAssignment })
}

/// A registration whose operation is under way.
pub fn assigning(id: &str, enrollment: EnrollmentRef) -> Registration {
    let credential = DeviceCredential::SymmetricKeys { primary: Secret::new(KEY), secondary: Secret::new(OTHER_KEY) };
    let operation = Operation {
        id: OperationId::from_random([1; 24]),
        started_at: now(),
        lease_until: later(),
        attempts: 1,
        device: DeviceSpec { device_id: DeviceId::parse(id).unwrap(), credential, iot_edge: false },
        initial_twin: InitialTwin::default(),
        plan: None,
        question: None,
        certification: None,
    };
    registration(id, enrollment, State::Assigning { operation: Box::new(operation), previous: None })
}

fn registration(id: &str, enrollment: EnrollmentRef, state: State) -> Registration {
    Registration {
        registration_id: rid(id),
        enrollment,
        proof: ProofSummary::SymmetricKey,
        created_at: now(),
        updated_at: now(),
        former_hubs: Vec::new(),
        strays: Vec::new(),
        tpm: None,
        certificate: None,
        state,
    }
}
