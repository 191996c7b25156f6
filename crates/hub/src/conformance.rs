//! What every hub must do, as one suite: run against the fake, the embedded hub and each connector, the latter in front of a real hub.
//!
//! The suite breaks the hub in the middle of its work through [`Subject::break_after`], since what matters most is that a call which
//! was cut short and is made again leaves the hub as one whole call would.

use serde_json::{Map, Value, json};
use usher_domain::{
    DeviceId, Secret,
    hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
};

use crate::{BoxFuture, Hub, HubError, TwinWrite};

/// More changes than any connector makes in one call.
const CHANGES_MAX: usize = 4;
/// Every kind of character that device IDs may have.
const ODD_ID: &str = "Odd-id:1.2+3%4_5#6*7?8!9(a),=@$'";

/// A hub under test.
pub trait Subject: Send + Sync {
    /// The hub, empty at first.
    fn hub(&self) -> &dyn Hub;

    /// From now on `changes` changes take effect; the answer to the last of them is lost, and what comes after fails. With 0, nothing
    /// takes effect any more.
    fn break_after(&self, changes: usize);

    /// Everything works again.
    fn mend(&self);

    /// The identity that is on the hub, seen by other means than the port.
    fn identity<'a>(&'a self, id: &'a DeviceId) -> BoxFuture<'a, Option<DeviceSpec>>;
}

/// Runs every case. Panics, as tests do, on the first thing that is wrong.
///
/// # Panics
/// Where the hub does not conform.
pub async fn all(subject: &dyn Subject) {
    made_once(subject).await;
    replaced(subject).await;
    emptied_stays_empty(subject).await;
    credentials(subject).await;
    removed(subject).await;
    names(subject).await;
    for changes in 0..=CHANGES_MAX {
        cut_short_while_made(subject, changes).await;
        cut_short_while_replaced(subject, changes).await;
        cut_short_while_removed(subject, changes).await;
    }
}

async fn made_once(subject: &dyn Subject) {
    let (hub, spec) = (subject.hub(), by_keys("made-once"));
    assert_eq!(hub.read_twin(&spec.device_id).await, Ok(None), "the hub is not empty");
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    is_there(subject, &spec, &first()).await;
    ensure(hub, &spec, TwinWrite::IfCreated(&second())).await;
    is_there(subject, &spec, &first()).await;
    let bare = by_keys("made-bare");
    ensure(hub, &bare, TwinWrite::IfCreated(&InitialTwin::default())).await;
    ensure(hub, &bare, TwinWrite::IfCreated(&first())).await;
    is_there(subject, &bare, &InitialTwin::default()).await;
}

async fn replaced(subject: &dyn Subject) {
    let (hub, spec) = (subject.hub(), by_keys("replaced"));
    ensure(hub, &spec, TwinWrite::Replace(&first())).await;
    is_there(subject, &spec, &first()).await;
    for twin in [second(), first(), first(), InitialTwin::default()] {
        ensure(hub, &spec, TwinWrite::Replace(&twin)).await;
        is_there(subject, &spec, &twin).await;
    }
}

/// A twin that was emptied is not one that was never set.
async fn emptied_stays_empty(subject: &dyn Subject) {
    let (hub, spec) = (subject.hub(), by_keys("emptied"));
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    ensure(hub, &spec, TwinWrite::Replace(&InitialTwin::default())).await;
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    is_there(subject, &spec, &InitialTwin::default()).await;
}

async fn credentials(subject: &dyn Subject) {
    let prints = |secondary: Option<String>| DeviceCredential::Thumbprints { primary: "AB".repeat(32), secondary };
    let kinds = [
        keys(1),
        keys(2),
        prints(None),
        prints(Some("CD".repeat(20))),
        DeviceCredential::CertificateAuthority,
        keys(1),
        DeviceCredential::CertificateAuthority,
    ];
    for (n, credential) in kinds.into_iter().enumerate() {
        for name in ["rekeyed".to_owned(), format!("keyed-{n}")] {
            let spec = DeviceSpec { device_id: id(&name), credential: credential.clone(), iot_edge: n % 2 == 1 };
            ensure(subject.hub(), &spec, TwinWrite::IfCreated(&first())).await;
            is_there(subject, &spec, &first()).await;
        }
    }
}

async fn removed(subject: &dyn Subject) {
    let (hub, spec) = (subject.hub(), by_keys("removed"));
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    for _ in 0..2 {
        assert_eq!(hub.delete_device(&spec.device_id).await, Ok(()));
        assert_eq!(hub.read_twin(&spec.device_id).await, Ok(None));
        assert!(subject.identity(&spec.device_id).await.is_none());
    }
    ensure(hub, &spec, TwinWrite::IfCreated(&second())).await;
    is_there(subject, &spec, &second()).await;
}

async fn names(subject: &dyn Subject) {
    let (lower, upper, odd) = (by_keys("case"), by_keys("CASE"), by_keys(ODD_ID));
    for (spec, twin) in [(&lower, first()), (&upper, second()), (&odd, first())] {
        ensure(subject.hub(), spec, TwinWrite::IfCreated(&twin)).await;
    }
    is_there(subject, &lower, &first()).await;
    is_there(subject, &upper, &second()).await;
    is_there(subject, &odd, &first()).await;
    assert_eq!(subject.hub().delete_device(&odd.device_id).await, Ok(()));
    assert_eq!(subject.hub().read_twin(&odd.device_id).await, Ok(None));
}

async fn cut_short_while_made(subject: &dyn Subject, changes: usize) {
    let (hub, spec) = (subject.hub(), by_keys(&format!("cut-made-{changes}")));
    subject.break_after(changes);
    is_cut(hub.ensure_device(&spec, TwinWrite::IfCreated(&first())).await, changes);
    subject.mend();
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    is_there(subject, &spec, &first()).await;
    // It has lived since; the same call made once more must not take it back.
    ensure(hub, &spec, TwinWrite::Replace(&second())).await;
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    is_there(subject, &spec, &second()).await;
}

async fn cut_short_while_replaced(subject: &dyn Subject, changes: usize) {
    let (hub, name) = (subject.hub(), format!("cut-replaced-{changes}"));
    let rekeyed = DeviceSpec { credential: keys(9), ..by_keys(&name) };
    ensure(hub, &by_keys(&name), TwinWrite::IfCreated(&first())).await;
    subject.break_after(changes);
    is_cut(hub.ensure_device(&rekeyed, TwinWrite::Replace(&second())).await, changes);
    subject.mend();
    ensure(hub, &rekeyed, TwinWrite::Replace(&second())).await;
    is_there(subject, &rekeyed, &second()).await;
}

async fn cut_short_while_removed(subject: &dyn Subject, changes: usize) {
    let (hub, spec) = (subject.hub(), by_keys(&format!("cut-removed-{changes}")));
    ensure(hub, &spec, TwinWrite::IfCreated(&first())).await;
    subject.break_after(changes);
    is_cut(hub.delete_device(&spec.device_id).await, changes);
    subject.mend();
    assert_eq!(hub.delete_device(&spec.device_id).await, Ok(()));
    assert_eq!(hub.read_twin(&spec.device_id).await, Ok(None));
}

/// A broken hub fails for now, not for good; with changes to spare the call may have ended before it broke.
fn is_cut(outcome: Result<(), HubError>, changes: usize) {
    match outcome {
        Ok(()) => assert!(changes > 1, "the hub was broken, and the call succeeded"),
        Err(error) => assert!(error.is_transient(), "{error}"),
    }
}

async fn ensure(hub: &dyn Hub, spec: &DeviceSpec, twin: TwinWrite<'_>) {
    assert_eq!(hub.ensure_device(spec, twin).await, Ok(()), "{} {twin:?}", spec.device_id);
}

async fn is_there(subject: &dyn Subject, spec: &DeviceSpec, twin: &InitialTwin) {
    assert_eq!(subject.identity(&spec.device_id).await.as_ref(), Some(spec), "the identity of {}", spec.device_id);
    assert_eq!(subject.hub().read_twin(&spec.device_id).await, Ok(Some(twin.clone())), "the twin of {}", spec.device_id);
}

fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("a device ID")
}

fn keys(seed: u8) -> DeviceCredential {
    let key = |last: u8| Secret::new(format!("{}{seed}{last}=", "A".repeat(41)));
    DeviceCredential::SymmetricKeys { primary: key(4), secondary: key(8) }
}

fn by_keys(name: &str) -> DeviceSpec {
    DeviceSpec { device_id: id(name), credential: keys(1), iot_edge: false }
}

fn twin(tags: Value, desired: Value) -> InitialTwin {
    let object = |value: Value| value.as_object().cloned().unwrap_or_else(Map::new);
    InitialTwin { tags: object(tags), desired: object(desired) }
}

fn first() -> InitialTwin {
    twin(
        json!({"site": "a", "floor": {"room": 7, "wing": "west"}}),
        json!({"rate": 5, "net": {"dns": ["1", "2"], "on": true}, "name": "ä"}),
    )
}

fn second() -> InitialTwin {
    twin(json!({"floor": {"room": 8}}), json!({"mode": "x", "net": {"on": false}}))
}
