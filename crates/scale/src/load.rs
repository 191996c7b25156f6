//! Fills a store: makes records and commits them, many at a time. What is done is noted beside the store, so that an interrupted load goes
//! on where it was.
//!
//! Most records of a kind go in by the order of their keys, as an import would sort them, which saves the stores most of their sorting. The
//! rest comes last and in no order, so that the store is then as one that lives: an LSM tree with its upper levels filled, a B-tree with
//! pages that were split.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use usher_domain::registration::Registration;
use usher_store::StoreError;

use crate::{
    Outcome,
    device::{Device, Part, registration_id},
    generate::{Generator, Step},
    ground::Ground,
    process::{disk_bytes, resident_mib, room_bytes},
};

/// Records in one commit: with the counters as many as a commit takes.
const RECORDS_A_COMMIT: usize = 120;
/// Commits under way.
const AT_ONCE: usize = 48;
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// One record in so many goes in last and in no order.
const UNORDERED_IN: usize = 10;
/// What is done, in this order.
const STEPS: [(Part, Step); 4] =
    [(Part::Registered, Step::Enroll), (Part::Registered, Step::Register), (Part::Registered, Step::Place), (Part::Fresh, Step::Enroll)];

/// How many devices there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Enrolled and registered.
    pub registered: u64,
    /// Enrolled only, for registrations that are to be new.
    pub fresh: u64,
}

impl Size {
    /// What is in a folder; nothing where nothing was loaded.
    pub fn read(folder: &Path) -> Outcome<Self> {
        Ok(Noted::read(folder)?.size)
    }

    fn of(self, part: Part) -> u64 {
        match part {
            Part::Registered => self.registered,
            Part::Fresh => self.fresh,
        }
    }
}

/// What is noted beside the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Noted {
    /// What was loaded to the end.
    size: Size,
    /// What is being loaded: how many there shall be, the step, and how many records of it are durable.
    under_way: Option<(Size, usize, usize)>,
}

impl Noted {
    fn read(folder: &Path) -> Outcome<Self> {
        match fs::read(noted(folder)) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, folder: &Path) -> Outcome<()> {
        let beside = folder.join("size.new");
        fs::write(&beside, serde_json::to_vec(self)?)?;
        Ok(fs::rename(beside, noted(folder))?)
    }
}

fn noted(folder: &Path) -> PathBuf {
    folder.join("size.json")
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Loading {
    /// The measured folder.
    pub folder: PathBuf,
    /// How many devices there shall be.
    pub target: Size,
    /// Room that is to stay free on the disk, in bytes.
    pub keep_free: u64,
    /// Whether to tell how far it is.
    pub progress: bool,
}

/// Fills the store of `ground` up to the target. What is there already is not made again.
pub async fn load(ground: &Arc<Ground>, loading: &Loading) -> Outcome<()> {
    let mut noted = Noted::read(&loading.folder)?;
    let pattern = pattern(ground).await?;
    let (step, done) = match noted.under_way {
        Some((target, step, done)) if target == loading.target => (step, done),
        Some((target, ..)) => return Err(format!("a load was interrupted: end it first, with the same numbers ({target:?})").into()),
        None => (0, 0),
    };
    for (index, kind) in STEPS.into_iter().enumerate().skip(step) {
        let done = if index == step { done } else { 0 };
        noted.under_way = Some((loading.target, index, done));
        take_step(ground, loading, &pattern, kind, &mut noted).await?;
    }
    Noted { size: loading.target, under_way: None }.write(&loading.folder)
}

/// The first device goes the whole way; its registration is what those of the others are made after.
async fn pattern(ground: &Ground) -> Outcome<Registration> {
    let device = Device::new(Part::Registered, 0)?;
    let registry = &ground.tenant.registry;
    if registry.registration(&device.id).await?.is_none() {
        ground.enroll(&device).await?;
        ground.register(&device).await?;
        ground.drain().await;
    }
    Ok(registry.registration(&device.id).await?.ok_or("the first device is gone")?.value)
}

/// The devices that a step is to be done for, and how far it is.
struct Front {
    part: Part,
    step: Step,
    /// In the order in which they are written.
    devices: Vec<u32>,
    next: AtomicUsize,
    /// Where each commit under way begins; `usize::MAX` for none.
    under_way: Vec<AtomicUsize>,
}

impl Front {
    fn new(generator: &Generator, part: Part, step: Step, [from, to]: [u64; 2], done: usize) -> Outcome<Self> {
        let mut devices: Vec<u32> = (u32::try_from(from)?..u32::try_from(to)?).collect();
        let unordered_from = devices.len() - devices.len() / UNORDERED_IN;
        let (ordered, _) = devices.split_at_mut(unordered_from);
        let address = |number: u32| registration_id(part, u64::from(number)).map(|id| generator.address(step, &id));
        let mut addresses = ordered.iter().map(|number| Ok((head(&address(*number)?), *number))).collect::<Outcome<Vec<_>>>()?;
        addresses.sort_unstable();
        ordered.iter_mut().zip(addresses).for_each(|(to, (_, number))| *to = number);
        let under_way = (0..AT_ONCE).map(|_| AtomicUsize::new(done)).collect();
        Ok(Self { part, step, devices, next: AtomicUsize::new(done), under_way })
    }

    /// So many of the devices, from the first on, are durable.
    fn done(&self) -> usize {
        // Read first: what is taken after this only makes the result too low.
        let next = self.next.load(Ordering::SeqCst).min(self.devices.len());
        self.under_way.iter().map(|first| first.load(Ordering::SeqCst)).fold(next, usize::min)
    }
}

/// Enough of a key to tell the order.
fn head(key: &[u8]) -> u64 {
    key.iter().take(8).fold(0, |head, byte| head << 8 | u64::from(*byte))
}

async fn take_step(
    ground: &Arc<Ground>,
    loading: &Loading,
    pattern: &Registration,
    (part, step): (Part, Step),
    noted: &mut Noted,
) -> Outcome<()> {
    let Some((target, index, done)) = noted.under_way else { return Ok(()) };
    // The first of all went the whole way.
    let from = noted.size.of(part).max(u64::from(part == Part::Registered));
    if from >= target.of(part) {
        return Ok(());
    }
    let generator = Generator::new(ground, pattern.clone()).await?;
    let front = Arc::new(tokio::task::block_in_place(|| Front::new(&generator, part, step, [from, target.of(part)], done))?);
    let (mut lanes, started) = (JoinSet::new(), Instant::now());
    for lane in 0..AT_ONCE {
        let generator = Generator::new(ground, pattern.clone()).await?;
        lanes.spawn(run_lane(Arc::clone(ground), generator, Arc::clone(&front), lane));
    }
    let mut told = Instant::now();
    while !lanes.is_empty() {
        if let Ok(Some(ended)) = tokio::time::timeout(TELL_EVERY, lanes.join_next()).await {
            ended??;
        }
        if told.elapsed() >= TELL_EVERY || lanes.is_empty() {
            told = Instant::now();
            noted.under_way = Some((target, index, front.done()));
            noted.write(&loading.folder)?;
            tell(loading, &front, done, started.elapsed());
            if room_bytes(&loading.folder)? < loading.keep_free {
                return Err("the disk is nearly full; make room and start again, it goes on where it was".into());
            }
        }
    }
    Ok(())
}

fn tell(loading: &Loading, front: &Front, before: usize, took: Duration) {
    if !loading.progress {
        return;
    }
    let (done, all) = (front.done(), front.devices.len());
    let rate = (done - before) as f64 / took.as_secs_f64();
    let disk_gb = disk_bytes(&loading.folder).unwrap_or_default() as f64 / 1e9;
    let (part, step) = (front.part, front.step);
    eprintln!("{part:?}, {step:?}: {done} of {all}, {rate:.0}/s, {disk_gb:.2} GB on disk, {:.0} MiB resident", resident_mib());
}

async fn run_lane(ground: Arc<Ground>, generator: Generator, front: Arc<Front>, lane: usize) -> Outcome<()> {
    let mine = front.under_way.get(lane).ok_or("no such lane")?;
    loop {
        let first = front.next.fetch_add(RECORDS_A_COMMIT, Ordering::SeqCst);
        let Some(devices) = front.devices.get(first..front.devices.len().min(first + RECORDS_A_COMMIT)).filter(|some| !some.is_empty())
        else {
            mine.store(usize::MAX, Ordering::SeqCst);
            return Ok(());
        };
        mine.store(first, Ordering::SeqCst);
        for number in devices {
            generator.step(front.step, &Device::new(front.part, u64::from(*number))?).await?;
        }
        match ground.store.commit(generator.take()).await {
            // A commit is all or nothing: these records are there from before an interruption.
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
