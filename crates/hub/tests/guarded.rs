//! The guard around a hub: what a caller hears, how many get through, and what is told of it. Time is the test's.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use usher_domain::{
    DeviceId, HubName,
    hub_device::{DeviceSpec, InitialTwin},
};
use usher_hub::{
    BoxFuture, Hub, HubError, TwinWrite,
    breaker::{Cause, FAILURES_MAX},
    conformance::{self, Subject},
    fake::{FakeHub, Fault},
    guarded::{Guarded, IN_FLIGHT_MAX, WAITING_MAX},
    health::{BreakerHealth, LATENCIES_MAX},
};

fn id() -> DeviceId {
    DeviceId::parse("d").unwrap()
}

fn guarded<H: Hub>(hub: H) -> Guarded<H> {
    Guarded::new(HubName::parse("hub.example").unwrap(), hub)
}

fn down() -> HubError {
    HubError::Unavailable("down".into())
}

struct Subjected {
    fake: FakeHub,
    hub: Guarded<FakeHub>,
}

impl Subject for Subjected {
    fn hub(&self) -> &dyn Hub {
        &self.hub
    }

    fn break_after(&self, changes: usize) {
        self.fake.fail_next([if changes == 0 { Fault::Before(down()) } else { Fault::After(down()) }]);
    }

    fn mend(&self) {
        self.fake.fail_next([]);
    }

    fn identity<'a>(&'a self, id: &'a DeviceId) -> BoxFuture<'a, Option<DeviceSpec>> {
        Box::pin(async move { self.fake.device(id.as_str()).map(|device| device.spec) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_guarded_hub_conforms() {
    let fake = FakeHub::default();
    conformance::all(&Subjected { hub: guarded(fake.clone()), fake }).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_hub_is_left_alone_and_found_again() {
    let fake = FakeHub::default();
    let hub = guarded(fake.clone());
    fake.fail_next(vec![Fault::Before(down()); 7]);
    for _ in 0..FAILURES_MAX {
        assert_eq!(hub.read_twin(&id()).await, Err(down()));
    }
    for _ in 0..100 {
        let refused = hub.read_twin(&id()).await.unwrap_err();
        assert!(matches!(&refused, HubError::Unavailable(why) if why.contains("next try is in 1 s")), "{refused}");
    }
    assert_eq!(fake.calls(), u64::from(FAILURES_MAX), "nothing was sent meanwhile");
    assert!(matches!(hub.health().breaker, BreakerHealth::Open { cause: Cause::Failing, .. }));
    for wait_s in [1, 2] {
        sleep(Duration::from_secs(wait_s)).await;
        assert_eq!(hub.read_twin(&id()).await, Err(down()));
    }
    sleep(Duration::from_secs(4)).await;
    assert_eq!(hub.read_twin(&id()).await, Ok(None));
    let health = hub.health();
    assert_eq!((health.breaker, health.failures_in_a_row), (BreakerHealth::Closed, 0));
    assert_eq!((health.calls, health.failed, health.refused), (8, 7, 100));
}

#[tokio::test(start_paused = true)]
async fn a_hubs_wish_for_patience_holds_for_all_its_callers() {
    let fake = FakeHub::default();
    let hub = guarded(fake.clone());
    fake.fail_next([Fault::Before(HubError::Throttled { retry_after_s: 7 })]);
    assert_eq!(hub.delete_device(&id()).await, Err(HubError::Throttled { retry_after_s: 7 }));
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(hub.read_twin(&id()).await, Err(HubError::Throttled { retry_after_s: 5 }));
    assert!(matches!(hub.health().breaker, BreakerHealth::Patient { .. }));
    sleep(Duration::from_millis(4_500)).await;
    assert_eq!(hub.read_twin(&id()).await, Ok(None));
    assert_eq!(fake.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_asked_about_rarely() {
    let fake = FakeHub::default();
    let hub = guarded(fake.clone());
    fake.fail_next(vec![Fault::Before(HubError::Unauthorized("401".into())); 100]);
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        assert!(matches!(hub.read_twin(&id()).await, Err(HubError::Unauthorized(_))));
        sleep(Duration::from_millis(100)).await;
    }
    assert!(fake.calls() < 10, "{}", fake.calls());
}

/// A hub that takes its time.
struct Slow {
    takes: Duration,
    at_once: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Hub for Slow {
    fn ensure_device<'a>(&'a self, _: &'a DeviceSpec, _: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async { Ok(()) })
    }

    fn read_twin<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(async {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            sleep(self.takes).await;
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(None)
        })
    }

    fn delete_device<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async { Ok(()) })
    }
}

fn slow(takes: Duration) -> (Arc<Guarded<Slow>>, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    (Arc::new(guarded(Slow { takes, at_once: Arc::default(), most: Arc::clone(&most) })), most)
}

#[tokio::test(start_paused = true)]
async fn calls_at_a_time_and_callers_in_the_queue_are_bounded() {
    let (hub, most) = slow(Duration::from_millis(2_500));
    let started = Instant::now();
    let calls: Vec<_> = (0..IN_FLIGHT_MAX + WAITING_MAX + 50)
        .map(|_| {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move { hub.read_twin(&id()).await })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    let health = hub.health();
    assert_eq!((health.in_flight, health.waiting, health.refused), (IN_FLIGHT_MAX, WAITING_MAX, 50));
    let (mut done, mut crowded) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(None) => done += 1,
            Err(HubError::Throttled { retry_after_s: 1 }) => crowded += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((done, crowded), (IN_FLIGHT_MAX, WAITING_MAX + 50));
    assert_eq!(most.load(Ordering::SeqCst), IN_FLIGHT_MAX);
    assert!(started.elapsed() < Duration::from_secs(3), "nobody waited for the slow hub twice");
    assert_eq!(hub.health().latencies, vec![Duration::from_millis(2_500); LATENCIES_MAX]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_hangs_is_a_failing_hub_and_given_up_probes_end() {
    let (hub, _) = slow(Duration::from_secs(3_600));
    for _ in 0..FAILURES_MAX {
        assert!(matches!(hub.read_twin(&id()).await, Err(HubError::Unavailable(_))));
    }
    sleep(Duration::from_secs(1)).await;
    let given_up = tokio::time::timeout(Duration::from_millis(10), hub.read_twin(&id())).await;
    assert!(given_up.is_err(), "the probe went out");
    assert!(matches!(hub.health().breaker, BreakerHealth::Open { .. }), "and did not leave the breaker half open");
    assert_eq!((hub.health().in_flight, hub.health().waiting), (0, 0));
}
