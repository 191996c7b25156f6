//! The simulated world: devices register, enrollments change, hubs, the allocation webhook and the store fail before and after their
//! work, and the process dies, all from a seed. The webhook chooses otherwise each time it is asked, so that a device that is asked about
//! again after a choice would come to be on two hubs.
//!
//! Whatever happens, nothing stays unfinished, and once the faults have ended and a device registers again, it is on the one hub that it
//! is told, with the twin it should have. No success goes uncounted or is counted more often than it was asked for.
//!
//! `USHER_SEEDS=100000 cargo test -p usher-provisioning --release --test simulation` runs as many seeds as named.

#![allow(clippy::unwrap_used)]

mod world;

use serde_json::{Value, json};
use usher_hub::{HubError, fake::Fault as HubFault};
use usher_provisioning::Abandoned;
use usher_store::memory::Fault as StoreFault;
use world::World;

const DEVICES: [&str; 3] = ["d0", "d1", "d2"];
const STEPS: u64 = 12;

/// What was asked of the service, to hold its meter against.
#[derive(Default)]
struct Asked {
    enrollments: i64,
    registrations: i64,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn whatever_fails_each_device_ends_on_one_hub_and_is_counted_once() {
    let seeds: u64 = std::env::var("USHER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4_000);
    for seed in 0..seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(seed));
    }
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let (mut world, mut asked) = (World::new(seed).await, Asked::default());
    chance(&world, seed);
    for device in DEVICES {
        enroll(&world, &mut dice, device, &mut asked).await;
    }
    for _ in 0..STEPS {
        step(&mut world, &mut dice, &mut asked).await;
    }
    world.store.fail_next([]);
    world.a.fail_next([]);
    world.b.fail_next([]);
    world.webhook.decide(move |request| choose(&mut Dice(seed), request));
    world.restart().await;
    settle(&world).await;
    judge(&world, &asked, seed).await;
}

async fn enroll(world: &World, dice: &mut Dice, device: &str, asked: &mut Asked) {
    asked.enrollments += 1;
    let hub = if dice.roll(2) == 0 { "a.example" } else { "b.example" };
    let policy = json!({ "updateHubAssignment": dice.roll(4) != 0, "migrateDeviceData": dice.roll(2) == 0 });
    let twin = json!({ "properties": { "desired": { "of": device } } });
    let allocation = if dice.roll(2) == 0 {
        json!({ "allocationPolicy": "static", "iotHubs": [hub] })
    } else {
        let definition = json!({ "webhookUrl": "https://f.example/?code=k", "apiVersion": "2021-10-01" });
        json!({ "allocationPolicy": "custom", "iotHubs": [], "customAllocationDefinition": definition })
    };
    let mut document = json!({ "reprovisionPolicy": policy, "initialTwin": twin });
    document.as_object_mut().unwrap().extend(allocation.as_object().unwrap().clone());
    world.enroll_device(device, document).await;
}

/// A webhook that chooses by chance, and sometimes fails or brings the store down just before its choice is saved.
fn chance(world: &World, seed: u64) {
    let (mut dice, store) = (Dice(seed ^ 0x5eed), world.store.clone());
    world.webhook.decide(move |request| {
        match dice.roll(8) {
            0 => store.fail_next([StoreFault::Before]),
            1 => store.fail_next([StoreFault::After]),
            2 => return (503, json!({})),
            3 => return (400, json!({})),
            _ => {}
        }
        choose(&mut dice, request)
    });
}

fn choose(dice: &mut Dice, request: &Value) -> (u16, Value) {
    let hubs = request["linkedHubs"].as_array().unwrap();
    let hub = &hubs[usize::try_from(dice.roll(hubs.len() as u64)).unwrap()];
    let of = &request["deviceRuntimeContext"]["registrationId"];
    let twin = (dice.roll(2) == 0).then(|| json!({ "properties": { "desired": { "of": of } } }));
    (200, json!({ "iotHubHostName": hub, "initialTwin": twin, "payload": { "hub": hub } }))
}

async fn step(world: &mut World, dice: &mut Dice, asked: &mut Asked) {
    let device = DEVICES[usize::try_from(dice.roll(3)).unwrap()];
    match dice.roll(8) {
        0 => enroll(world, dice, device, asked).await,
        1 => world.restart().await,
        2 => {
            world.clock.advance_millis(40_000);
            // Sometimes the device is faster than the look for abandoned operations.
            if dice.roll(2) == 0 {
                drop(world.engine.look(Abandoned::Expired).await);
            }
        }
        _ => {
            let hub = if dice.roll(2) == 0 { &world.a } else { &world.b };
            hub.fail_next((0..dice.roll(3)).map(|n| hub_fault(n + dice.roll(3))));
            // A commit or two goes through before the store fails.
            if dice.roll(3) == 0 {
                world.store.fail_next([if dice.roll(2) == 0 { StoreFault::Before } else { StoreFault::After }]);
            }
            asked.registrations += 1;
            let register = world.register(device);
            // A device that goes away in the middle drops the request, not the work.
            drop(tokio::time::timeout(std::time::Duration::from_millis(dice.roll(400)), register).await);
            world.store.fail_next([]);
        }
    }
}

fn hub_fault(kind: u64) -> HubFault {
    match kind % 4 {
        0 => HubFault::Before(HubError::Unavailable("down".into())),
        1 => HubFault::After(HubError::Unavailable("answer lost".into())),
        2 => HubFault::Before(HubError::Throttled { retry_after_s: 1 }),
        _ => HubFault::Before(HubError::Unauthorized("key".into())),
    }
}

/// Lets everything under way come to its end.
async fn settle(world: &World) {
    for _ in 0..10 {
        world.clock.advance_millis(40_000);
        world.engine.look(Abandoned::All).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
}

async fn judge(world: &World, asked: &Asked, seed: u64) {
    let tenant = world.tenant().await;
    assert!(tenant.registry.pending(None, 10).await.unwrap().ids.is_empty(), "seed {seed}: unfinished operations");
    let counted = world.metered().await - asked.enrollments;
    assert!((0..=asked.registrations).contains(&counted), "seed {seed}: {counted} counted, {} asked for", asked.registrations);
    for device in DEVICES {
        let before = world.metered().await;
        let told = world.register(device).await.unwrap();
        assert_eq!(told.status, "assigned", "seed {seed}: {device}");
        assert_eq!(world.metered().await, before + 1, "seed {seed}: one success, counted once");
        let state = told.registration_state.unwrap();
        let hub = state.assigned_hub.unwrap();
        let chosen = state.payload.map_or_else(|| hub.clone(), |payload| payload["hub"].as_str().unwrap().to_owned());
        assert_eq!(chosen, hub, "seed {seed}: {device} is where the webhook said that it should be");
        assert_eq!(world.hubs_with(device), [hub.as_str()], "seed {seed}: {device} is on the one hub that it was told");
        let on = if hub == "a.example" { &world.a } else { &world.b };
        assert_eq!(on.device(device).unwrap().twin.desired["of"], device, "seed {seed}: {device} has another's twin");
        let id = usher_domain::RegistrationId::parse(device).unwrap();
        let record = tenant.registry.registration(&id).await.unwrap().unwrap().value;
        assert!(record.strays.is_empty(), "seed {seed}: {device} left strays");
    }
}
