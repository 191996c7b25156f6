//! Compares a small store with a large one in one run: a slice in the one, a slice in the other, and again. What else happens on the
//! machine meets both alike; the ratio of each pair is one sample.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{
    Outcome,
    cluster::Cluster,
    slice::Cost,
    worker::{Answer, Request, State},
};

/// Slices in each store before the first that counts: connections are made, memory is filled.
const WARM_UP: usize = 1;

/// A store in a process of its own, with its database where it has one.
struct Opened {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _cluster: Option<Cluster>,
}

impl Opened {
    fn open(folder: &Path) -> Outcome<Self> {
        let cluster = if Cluster::is_in(folder) { Some(Cluster::start(folder)?) } else { None };
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("work").arg("--state").arg(folder);
        if let Some(cluster) = &cluster {
            command.arg("--database").arg(cluster.address()).arg("--postmaster").arg(cluster.pid().to_string());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { requests: child.stdin.take(), child, answers, _cluster: cluster })
    }

    fn ask(&mut self, request: &Request) -> Outcome<Answer> {
        let requests = self.requests.as_mut().ok_or("no input")?;
        writeln!(requests, "{}", serde_json::to_string(request)?)?;
        requests.flush()?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the worker has ended; see what it wrote".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn slice(&mut self, count: usize) -> Outcome<Cost> {
        match self.ask(&Request::Slice(count))? {
            Answer::Slice(cost) => Ok(cost),
            other => Err(format!("an answer to something else: {other:?}").into()),
        }
    }

    fn state(&mut self) -> Outcome<State> {
        match self.ask(&Request::State)? {
            Answer::State(state) => Ok(state),
            other => Err(format!("an answer to something else: {other:?}").into()),
        }
    }

    fn pages(&mut self, count: usize) -> Outcome<Vec<f64>> {
        match self.ask(&Request::Pages(count))? {
            Answer::Pages(times) => Ok(times),
            other => Err(format!("an answer to something else: {other:?}").into()),
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.requests.take());
        let _ = self.child.wait();
    }
}

/// What to compare, and how long.
#[derive(Clone, Debug)]
pub struct Comparing {
    /// The folder of the small store.
    pub small: PathBuf,
    /// The folder of the large one.
    pub large: PathBuf,
    /// Pairs of slices that count.
    pub rounds: usize,
    /// New registrations in a slice; as many again come on top.
    pub slice: usize,
    /// Pages of enrollments to time in each store.
    pub pages: usize,
}

/// One store's part of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Side {
    /// How it stood before the first slice, just opened.
    pub opened: State,
    /// How it stood after the last.
    pub ended: State,
    /// The slices that count.
    pub slices: Vec<Cost>,
    /// How long pages took, in milliseconds.
    pub pages_ms: Vec<f64>,
}

/// Two stores compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// `embedded` or `postgres`.
    pub store: String,
    /// The small store.
    pub small: Side,
    /// The large one.
    pub large: Side,
}

/// Measures. Tells each pair as it goes.
pub fn compare(comparing: &Comparing) -> Outcome<Comparison> {
    let (mut small, mut large) = (Opened::open(&comparing.small)?, Opened::open(&comparing.large)?);
    let opened = [small.state()?, large.state()?];
    for _ in 0..WARM_UP {
        small.slice(comparing.slice)?;
        large.slice(comparing.slice)?;
    }
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for round in 1..=comparing.rounds {
        let (one, other) = (small.slice(comparing.slice)?, large.slice(comparing.slice)?);
        let told = |cost: &Cost| format!("{:.0} µs of CPU, {:.0}/s", cost.cpu_us(), cost.per_s());
        eprintln!("{round}: small {}; large {}; ratio {:.2}", told(&one), told(&other), other.cpu_us() / one.cpu_us());
        of_small.push(one);
        of_large.push(other);
    }
    let pages = [small.pages(comparing.pages)?, large.pages(comparing.pages)?];
    let ended = [small.state()?, large.state()?];
    let ([small_opened, large_opened], [small_pages, large_pages], [small_ended, large_ended]) = (opened, pages, ended);
    Ok(Comparison {
        store: if Cluster::is_in(&comparing.large) { "postgres" } else { "embedded" }.into(),
        small: Side { opened: small_opened, ended: small_ended, slices: of_small, pages_ms: small_pages },
        large: Side { opened: large_opened, ended: large_ended, slices: of_large, pages_ms: large_pages },
    })
}

impl Cost {
    /// CPU time of one registration, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.registrations.max(1) as f64
    }

    /// Registrations a second.
    pub fn per_s(&self) -> f64 {
        self.registrations as f64 / self.wall_s
    }
}

impl Side {
    /// CPU time of one registration over all slices, in microseconds: what is done in the background comes in lumps, which a median
    /// would leave out.
    pub fn cpu_us(&self) -> f64 {
        let total: f64 = self.slices.iter().map(|cost| cost.cpu_s).sum();
        total * 1e6 / self.slices.iter().map(|cost| cost.registrations).sum::<usize>().max(1) as f64
    }

    /// The median of something over the slices.
    pub fn median(&self, of: impl Fn(&Cost) -> f64) -> f64 {
        middle(self.slices.iter().map(of).collect())[1]
    }
}

impl Comparison {
    /// The large store's cost over the small one's, pair by pair: least, median, greatest.
    pub fn ratio(&self, of: impl Fn(&Cost) -> f64) -> [f64; 3] {
        middle(self.large.slices.iter().zip(&self.small.slices).map(|(large, small)| of(large) / of(small)).collect())
    }

    /// What a person reads.
    pub fn told(&self) -> String {
        let ratio = |of: fn(&Cost) -> f64| {
            let [least, median, greatest] = self.ratio(of);
            format!("{median:.2} ({least:.2} to {greatest:.2})")
        };
        let side = |name: &str, side: &Side| {
            let [first, median, last] = [side.pages_ms.first(), Some(&middle(side.pages_ms.clone())[1]), side.pages_ms.last()];
            let ms = |time: Option<&f64>| time.copied().unwrap_or_default();
            format!(
                "{name}: {} registered, {} more enrolled; opened in {:.0} ms; {:.0} MiB resident, then {:.0}; {:.2} GB on disk, then {:.2}\n\
                 \x20 {:.0} registrations/s, {:.0} µs of CPU each ({:.0} over all slices), answer in {:.1} ms, 99 % in {:.1} ms\n\
                 \x20 a page of 100 enrollments in {median:.1} ms, the first {:.1}, the last {:.1}; counters {:?}",
                side.opened.size.registered,
                side.opened.size.fresh,
                side.opened.opened_ms,
                side.opened.resident_mib,
                side.ended.resident_mib,
                side.opened.disk_bytes as f64 / 1e9,
                side.ended.disk_bytes as f64 / 1e9,
                side.median(Cost::per_s),
                side.median(Cost::cpu_us),
                side.cpu_us(),
                side.median(|cost| cost.median_ms),
                side.median(|cost| cost.p99_ms),
                ms(first),
                ms(last),
                side.ended.counts,
                median = ms(median),
            )
        };
        format!(
            "{}\n{}\n{}\nratio of CPU time: {}, {:.2} over all slices; of wall time: {}",
            self.store,
            side("small", &self.small),
            side("large", &self.large),
            ratio(Cost::cpu_us),
            self.large.cpu_us() / self.small.cpu_us(),
            ratio(|cost| 1.0 / cost.per_s()),
        )
    }
}

/// The least, the median and the greatest; nothing is 0.
fn middle(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    [at(0), at(numbers.len() / 2), at(numbers.len().saturating_sub(1))]
}
