//! What processes take: CPU time, memory, disk. Read from /proc, since the figures are those of other processes as well.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::Outcome;

/// What Linux counts CPU time in, in seconds: USER_HZ is 100 on every architecture.
const TICK_S: f64 = 0.01;
/// Between two looks at whether there is still work in the background.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// CPU time within one look that does not count as work: 4 % of a core.
const IDLE_S: f64 = 0.01;
/// Looks in a row without work before all is taken to be at rest.
const IDLE_LOOKS: usize = 3;
/// Longest wait for that.
const SETTLE_MAX: Duration = Duration::from_secs(300);

/// Whose work is counted: this process, and a database server with its children.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// The database server's first process.
    pub postmaster: Option<u32>,
}

impl Workers {
    /// CPU time so far, user and system, in seconds.
    pub fn cpu_s(self) -> Outcome<f64> {
        let own = Stat::read("self")?.own_s;
        let Some(postmaster) = self.postmaster else { return Ok(own) };
        let first = Stat::read(&postmaster.to_string())?;
        let children: f64 = children(postmaster)?.iter().map(|child| child.own_s).sum();
        Ok(own + first.own_s + first.ended_children_s + children)
    }

    /// Waits until nothing works in the background any more: what a slice has caused is counted with it.
    pub fn settle(self) -> Outcome<()> {
        let (started, mut idle) = (Instant::now(), 0);
        let mut before = self.cpu_s()?;
        while idle < IDLE_LOOKS && started.elapsed() < SETTLE_MAX {
            thread::sleep(LOOK_EVERY);
            let now = self.cpu_s()?;
            idle = if now - before <= IDLE_S + f64::EPSILON { idle + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }
}

/// The figures of /proc/PID/stat that are used (man 5 proc).
struct Stat {
    parent: u32,
    own_s: f64,
    ended_children_s: f64,
}

impl Stat {
    fn read(pid: &str) -> Outcome<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may hold anything; what follows it is numbers, the state first.
        let (_, rest) = text.rsplit_once(") ").ok_or("/proc/PID/stat cannot be read")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).ok_or("/proc/PID/stat cannot be read");
        let seconds = |first: usize| Ok::<f64, &str>((number(first)? + number(first + 1)?) as f64 * TICK_S);
        Ok(Self { parent: u32::try_from(number(1)?)?, own_s: seconds(11)?, ended_children_s: seconds(13)? })
    }
}

fn children(of: u32) -> Outcome<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            // One that ends meanwhile is no child any more.
            found.extend(Stat::read(&name).ok().filter(|stat| stat.parent == of));
        }
    }
    Ok(found)
}

/// Memory that this process has for itself, in MiB: without files that are mapped, which are the page cache's.
pub fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / 1024.0
}

/// What a folder takes on disk, in bytes, by blocks, since some files are allocated ahead of their use.
pub fn disk_bytes(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may go while it is looked at.
        let Ok(data) = entry.metadata() else { continue };
        bytes += if data.is_dir() { disk_bytes(&entry.path())? } else { data.blocks() * 512 };
    }
    Ok(bytes)
}

/// Room left on the disk of a folder, in bytes; by `df`, since the standard library does not tell.
pub fn room_bytes(folder: &Path) -> Outcome<u64> {
    let told = std::process::Command::new("df").args(["--output=avail", "-B1"]).arg(folder).output()?;
    let text = String::from_utf8(told.stdout)?;
    Ok(text.lines().nth(1).ok_or("df says nothing")?.trim().parse()?)
}
