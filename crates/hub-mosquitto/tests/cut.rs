//! Calls that are cut short at any byte and made again, by another node or by the same.

#![allow(clippy::unwrap_used)]

mod bed;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bed::{Bed, KEY, OTHER_KEY, id, spec, twin, with};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
};
use usher_domain::{Secret, hub_device::DeviceCredential};
use usher_hub::{Hub as _, TwinWrite};
use usher_hub_mosquitto::MosquittoHub;

/// Bytes that a call sends, TLS handshake included, with room.
const CALL_BYTES: usize = 6_000;
/// Bytes between two cuts; smaller than any packet of interest.
const STEP: usize = 250;

/// Stands between usher and the broker and lets only so many bytes through.
struct Middleman {
    port: u16,
    budget: Arc<AtomicUsize>,
}

impl Middleman {
    async fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, budget) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let left = budget.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, broker, left.clone()));
            }
        });
        Self { port, budget }
    }
}

/// Ends with the byte that is over the budget: the broker gets all before it, usher hears no more.
async fn pass(client: TcpStream, broker: u16, budget: Arc<AtomicUsize>) {
    let (mut from, mut back) = client.into_split();
    let (mut answers, mut to) = TcpStream::connect(("127.0.0.1", broker)).await.unwrap().into_split();
    let answering = tokio::spawn(async move { copy(&mut answers, &mut back).await });
    let mut byte = [0_u8; 1];
    while budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        if from.read_exact(&mut byte).await.is_err() || to.write_all(&byte).await.is_err() {
            break;
        }
    }
    answering.abort();
}

fn through(bed: &Bed, port: u16) -> MosquittoHub {
    MosquittoHub::new(&Secret::new(format!("mosquitto://usher%40broker:p%2Fss%3Aw%25rd%40@localhost:{port}")), bed.trust()).unwrap()
}

#[tokio::test]
async fn a_call_cut_short_anywhere_and_made_again_is_as_one_whole_call() {
    let Some(bed) = Bed::start() else { return };
    let (middleman, whole) = (Middleman::before(bed.port).await, bed.hub());
    let mut failures = 0;
    for cut in (0..CALL_BYTES).step_by(STEP) {
        let name = format!("cut-{cut}");
        let (first, second) = (twin("first"), twin("second"));
        let rekeyed = with(&name, DeviceCredential::SymmetricKeys { primary: Secret::new(OTHER_KEY), secondary: Secret::new(KEY) });

        middleman.budget.store(cut, Ordering::SeqCst);
        let made = through(&bed, middleman.port).ensure_device(&spec(&name), TwinWrite::IfCreated(&first)).await;
        whole.ensure_device(&spec(&name), TwinWrite::IfCreated(&first)).await.unwrap();
        assert_eq!(whole.read_twin(&id(&name)).await, Ok(Some(first.clone())), "made, cut at {cut}");

        middleman.budget.store(cut, Ordering::SeqCst);
        let replaced = through(&bed, middleman.port).ensure_device(&rekeyed, TwinWrite::Replace(&second)).await;
        whole.ensure_device(&rekeyed, TwinWrite::Replace(&second)).await.unwrap();
        whole.ensure_device(&rekeyed, TwinWrite::IfCreated(&first)).await.unwrap();
        assert_eq!(whole.read_twin(&id(&name)).await, Ok(Some(second)), "replaced, cut at {cut}");

        middleman.budget.store(cut, Ordering::SeqCst);
        let removed = through(&bed, middleman.port).delete_device(&id(&name)).await;
        whole.delete_device(&id(&name)).await.unwrap();
        assert_eq!(whole.read_twin(&id(&name)).await, Ok(None), "removed, cut at {cut}");
        for error in [made, replaced, removed].into_iter().filter_map(Result::err) {
            assert!(error.is_transient(), "{error}");
            failures += 1;
        }
    }
    assert!(failures > CALL_BYTES / STEP, "hardly anything was cut: {failures}");
    let saved = bed.saved();
    assert!(!saved.to_string().contains("cut-"), "{saved}");
    assert_eq!(bed.retained("devices/#"), None);
}
