//! A service API over records in memory, and a client that speaks to it as tools do.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use usher_api_service::ServiceApi;
use usher_attestation::sas::sign;
use usher_domain::{
    DeviceId, EnrollmentGroupId, HubName, IdScope, OperationId, RegistrationId, Secret, Timestamp,
    clock::{ManualClock, SeededEntropy},
    enrollment::{AllocationPolicy, EnrollmentRef},
    registration::{Assignment, ProofSummary, Registration, State, Substatus},
    service::{AccessPolicy, HubConnection, LinkedHub, ProvisioningService, Right},
    service_limits::ServiceLimits,
};
use usher_registry::{Directory, Tenant};
use usher_seal::MasterKey;
use usher_store::{Expect, memory::MemoryStore};

/// 1 June 2026.
pub const NOW_S: i64 = 1_780_272_000;
/// The service that most requests are for.
pub const HOST: &str = "plant.example";
/// Another service in the same installation.
pub const OTHER_HOST: &str = "ship.example";
pub const OWNER: &str = "provisioningserviceowner";

pub struct World {
    pub api: ServiceApi,
    pub store: MemoryStore,
    pub tenant: Tenant,
    pub clock: Arc<ManualClock>,
}

/// Two services. Each has a policy with every right and, for each single right, a policy of that name.
pub async fn world() -> World {
    limited(ServiceLimits::NONE).await
}

/// The same, with limits.
pub async fn limited(limits: ServiceLimits) -> World {
    let store = MemoryStore::default();
    let directory = Directory::open(Arc::new(store.clone()), MasterKey::generate().unwrap()).await.unwrap();
    let tenant = directory.create(ProvisioningService { limits, ..service(HOST, "0ne0000AAAA", 1) }).await.unwrap();
    directory.create(ProvisioningService { limits, ..service(OTHER_HOST, "0ne0000BBBB", 101) }).await.unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW_S)));
    let api = ServiceApi::new(Arc::new(directory), clock.clone(), Arc::new(SeededEntropy::new(1)));
    World { api, store, tenant, clock }
}

fn service(host: &str, id_scope: &str, first_key: u8) -> ProvisioningService {
    let mut policies = vec![policy(OWNER, first_key, Right::ALL.to_vec())];
    policies.extend((1_u8..).zip(Right::ALL).map(|(n, right)| policy(&format!("{right:?}"), first_key + 2 * n, vec![right])));
    ProvisioningService {
        name: host.split('.').next().unwrap().into(),
        tenant: 0,
        id_scope: IdScope::parse(id_scope).unwrap(),
        host_name: host.into(),
        policies,
        hubs: vec![LinkedHub {
            name: hub(),
            region: "west".into(),
            weight: 1,
            apply_allocation_policy: true,
            connection: HubConnection::Embedded,
        }],
        allocation: AllocationPolicy::Hashed,
        resource: usher_domain::service::ResourceMetadata::default(),
        limits: ServiceLimits::NONE,
    }
}

fn policy(name: &str, key: u8, rights: Vec<Right>) -> AccessPolicy {
    let secret = |byte: u8| Secret::new(STANDARD.encode([byte; 32]));
    AccessPolicy { name: name.into(), primary: secret(key), secondary: secret(key + 1), rights }
}

pub fn hub() -> HubName {
    HubName::parse("hub-a.example").unwrap()
}

/// A token of the first service's policy with every right, for its host.
pub fn owner_token() -> String {
    token(HOST, OWNER, 1, 3600)
}

/// A token of the first service's policy that holds this right alone.
pub fn token_of(right: Right) -> String {
    let place = Right::ALL.iter().position(|known| *known == right).unwrap();
    token(HOST, &format!("{right:?}"), 1 + 2 * (u8::try_from(place).unwrap() + 1), 3600)
}

/// A token for any resource, signed with 32 bytes of `key`, that lasts `seconds` from now.
pub fn token(resource: &str, policy: &str, key: u8, seconds: i64) -> String {
    sign(resource, &[key; 32], NOW_S + seconds, Some(policy))
}

/// A request under construction.
pub struct Call<'a> {
    world: &'a World,
    builder: http::request::Builder,
    authorization: Option<String>,
    host: String,
    body: Bytes,
}

pub struct Answer {
    pub status: StatusCode,
    pub json: Value,
    response: Response<Bytes>,
}

impl World {
    /// A request with the API version, the host and the owner's token.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        self.call_raw(method, &format!("{path}?api-version=2021-10-01"))
    }

    /// The same, with the query as given.
    pub fn call_raw(&self, method: &str, path_and_query: &str) -> Call<'_> {
        let builder = Request::builder().method(method).uri(path_and_query);
        Call { world: self, builder, authorization: Some(owner_token()), host: HOST.into(), body: Bytes::new() }
    }

    /// A device that has registered by a group.
    pub async fn registered(&self, id: &str, group: &str) {
        let state = State::Assigned {
            operation_id: OperationId::from_random([1; 24]),
            assignment: Assignment { hub: hub(), device_id: DeviceId::parse(id).unwrap(), payload: Some(json!({"k": 1})) },
            substatus: Substatus::InitialAssignment,
        };
        let registration = Registration {
            registration_id: RegistrationId::parse(id).unwrap(),
            enrollment: EnrollmentRef::Group(EnrollmentGroupId::parse(group).unwrap()),
            proof: ProofSummary::SymmetricKey,
            created_at: Timestamp::from_secs(NOW_S),
            updated_at: Timestamp::from_secs(NOW_S),
            former_hubs: Vec::new(),
            strays: Vec::new(),
            tpm: None,
            certificate: None,
            state,
        };
        self.tenant.registry.save_registration(&registration, Expect::Any, Vec::new()).await.unwrap();
    }
}

impl Call<'_> {
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.authorization = Some(token.into());
        self
    }

    pub fn no_token(mut self) -> Self {
        self.authorization = None;
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// A JSON body with the content type that SDKs send.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json; charset=utf-8").bytes(body.to_string())
    }

    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let mut builder = self.builder.header("Host", self.host);
        if let Some(authorization) = self.authorization {
            builder = builder.header("Authorization", authorization);
        }
        let response = self.world.api.handle(builder.body(self.body).unwrap()).await;
        let json = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
        Answer { status: response.status(), json, response }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub fn body(&self) -> &[u8] {
        self.response.body()
    }

    /// Asserts the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.json);
        self
    }
}

pub fn individual(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

pub fn group(id: &str) -> Value {
    json!({"enrollmentGroupId": id, "attestation": {"type": "symmetricKey"}})
}
