//! Signing requests while the store, the hubs and the authority fail before and after their work and the process dies: whatever happens,
//! no operation is ever told with two certificates, and the hub knows the one that was told last.
#![allow(clippy::unwrap_used)]

mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use usher_attestation::Certificate;
use usher_domain::{
    credential_policy::{Authority, CredentialPolicy, EstAuthority, HubAuthentication, KeyType},
    document::OperationStatusDocument,
    hub_device::DeviceCredential,
};
use usher_hub::{HubError, fake::Fault as HubFault};
use usher_issuance::{
    ExternalAuthority, IssueError,
    fake::{FakeAuthority, request},
};
use usher_provisioning::Abandoned;
use usher_registry::IfMatch;
use usher_store::memory::Fault as StoreFault;
use world::{KEY, World};

const SEEDS: u64 = 40;
const STEPS: u64 = 25;

/// Chance that can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What was told of each operation.
#[derive(Default)]
struct Told(BTreeMap<String, Vec<String>>);

impl Told {
    fn hear(&mut self, told: &OperationStatusDocument, seed: u64) {
        let Some(chain) = told.registration_state.as_ref().and_then(|state| state.issued_certificate_chain.clone()) else { return };
        assert_eq!(told.status, "assigned", "seed {seed}: a chain before the end");
        let before = self.0.entry(told.operation_id.clone()).or_insert_with(|| chain.clone());
        assert_eq!(*before, chain, "seed {seed}: two certificates for {}", told.operation_id);
    }
}

async fn begin(seed: u64, authority: &Arc<FakeAuthority>) -> World {
    let mut world = World::new(seed).await;
    let now = world.engine.now();
    let est = EstAuthority { url: "https://est.example".into(), user: None, password: None, trust: Vec::new(), chain: Vec::new() };
    let policy = CredentialPolicy {
        name: "certs".into(),
        authority: Authority::Est(est),
        validity_days: 30,
        key_types: KeyType::ALL.to_vec(),
        hub_authentication: HubAuthentication::Thumbprint,
        created_at: now,
        updated_at: now,
    };
    world.tenant().await.registry.put_credential_policy("certs", IfMatch::Unsaid, |_| Ok(policy.clone())).await.unwrap();
    world.enroll_device("d1", json!({ "credentialPolicyName": "certs" })).await;
    with(&mut world, authority);
    world
}

fn with(world: &mut World, authority: &Arc<FakeAuthority>) {
    let external: Arc<dyn ExternalAuthority> = authority.clone();
    world.engine = world.engine.clone().with_external_authority(external);
}

fn hub_fault(kind: u64) -> HubFault {
    match kind % 3 {
        0 => HubFault::Before(HubError::Unavailable("down".into())),
        1 => HubFault::After(HubError::Unavailable("answer lost".into())),
        _ => HubFault::Before(HubError::Throttled { retry_after_s: 1 }),
    }
}

async fn step(world: &mut World, dice: &mut Dice, authority: &Arc<FakeAuthority>, told: &mut Told, seed: u64) {
    match dice.roll(6) {
        0 => {
            world.restart().await;
            with(world, authority);
        }
        1 => {
            world.clock.advance_millis(40_000);
            drop(world.engine.look(Abandoned::Expired).await);
        }
        2 => authority.fail_next((0..dice.roll(3)).map(|_| IssueError::Later { why: "It is down.".into(), retry_after_s: None })),
        _ => {
            let hub = if dice.roll(2) == 0 { &world.a } else { &world.b };
            hub.fail_next((0..dice.roll(3)).map(|n| hub_fault(n + dice.roll(3))));
            if dice.roll(2) == 0 {
                world.store.fail_next([if dice.roll(2) == 0 { StoreFault::Before } else { StoreFault::After }]);
            }
            let csr = json!({ "csr": STANDARD.encode(request("d1").der()) }).to_string();
            let claim = world.claim("d1", &KEY);
            let asked = world.register_as(&claim, csr.as_bytes());
            if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_millis(dice.roll(400)), asked).await {
                told.hear(&answer, seed);
            }
            world.store.fail_next([]);
        }
    }
    listen(world, told, seed).await;
}

/// Polls whatever operation the device has.
async fn listen(world: &World, told: &mut Told, seed: u64) {
    let id = usher_domain::RegistrationId::parse("d1").unwrap();
    let Some(record) = world.tenant().await.registry.registration(&id).await.unwrap() else { return };
    if let Ok(answer) = world.poll("d1", record.value.state.operation_id().as_str()).await {
        told.hear(&answer, seed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_never_has_two_certificates() {
    let mut operations = 0;
    for seed in 1..=SEEDS {
        let authority = Arc::new(FakeAuthority::new(usher_domain::Timestamp::from_secs(1_800_000_000), Vec::new()).unwrap());
        let (mut world, mut dice, mut told) = (begin(seed, &authority).await, Dice(seed), Told::default());
        for _ in 0..STEPS {
            step(&mut world, &mut dice, &authority, &mut told, seed).await;
        }
        for hub in [&world.a, &world.b] {
            hub.fail_next([]);
        }
        authority.fail_next([]);
        for _ in 0..10 {
            world.clock.advance_millis(40_000);
            world.engine.look(Abandoned::All).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            listen(&world, &mut told, seed).await;
        }
        let csr = json!({ "csr": STANDARD.encode(request("d1").der()) }).to_string();
        let last = world.register_as(&world.claim("d1", &KEY), csr.as_bytes()).await.unwrap();
        assert_eq!(last.status, "assigned", "seed {seed}: {last:?}");
        let chain = last.registration_state.unwrap().issued_certificate_chain.unwrap();
        let leaf = Certificate::from_der(&STANDARD.decode(&chain[0]).unwrap()).unwrap();
        let on = world.a.device("d1").or(world.b.device("d1")).unwrap().spec.credential;
        let DeviceCredential::Thumbprints { primary, .. } = on else { panic!("seed {seed}: {on:?}") };
        assert_eq!(primary, leaf.info().sha256_thumbprint, "seed {seed}: the hub knows another certificate");
        operations += told.0.len();
    }
    // Most worlds have to bring some to their end, or nothing was shown.
    assert!(operations > SEEDS as usize, "only {operations} operations were told of");
}
