//! A PostgreSQL server with its data in the measured folder, started for as long as it is needed.
//!
//! PostgreSQL does not run as root; under root it runs as `postgres`, else `nobody`. All settings are the server's own defaults, except
//! those in [`SETTINGS`].

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::Outcome;

/// Debian keeps the server's programs out of the path.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Memory for pages, and room between checkpoints, of a small production server; the defaults are those of a laptop of 2005.
const SETTINGS: [&str; 4] = ["shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=15min", "listen_addresses=127.0.0.1"];
/// Longest start, recovery after a crash included.
const START_MAX: Duration = Duration::from_secs(120);

/// A running server. Stopped when it is dropped; the data stays.
pub struct Cluster {
    child: Child,
    port: u16,
}

impl Cluster {
    /// Starts the server of `folder`; makes it first where there is none.
    pub fn start(folder: &Path) -> Outcome<Self> {
        // The server has a folder of its own to stand in, so the path must not be a relative one.
        let home = fs::canonicalize(folder)?.join("postgres");
        let (data, programs) = (home.join("data"), programs()?);
        let is_new = !data.exists();
        let account = account();
        if is_new {
            fs::create_dir_all(&home)?;
            if let Some((user, group)) = account {
                std::os::unix::fs::chown(&home, Some(user), Some(group))?;
            }
        }
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(&home).env_remove("PGHOST").env_remove("PGOPTIONS");
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command
        };
        if is_new {
            let arguments = ["-U", "usher", "-A", "trust", "-E", "UTF8", "--no-locale", "-N", "-D"];
            finished(command("initdb").args(arguments).arg(&data))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = command("postgres");
        server.arg("-D").arg(&data).args(["-p", &port.to_string()]).arg("-k").arg(&home);
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let log = fs::File::options().create(true).append(true).open(home.join("log"))?;
        let mut cluster = Self { child: server.stdout(Stdio::null()).stderr(log).spawn()?, port };
        let until = Instant::now() + START_MAX;
        while finished(command("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])).is_err() {
            if Instant::now() > until || cluster.child.try_wait()?.is_some() {
                return Err(format!("PostgreSQL does not start; see {}", home.join("log").display()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if is_new {
            finished(command("createdb").args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "usher", "usher"]))?;
        }
        Ok(cluster)
    }

    /// Whether a folder has one.
    pub fn is_in(folder: &Path) -> bool {
        folder.join("postgres").exists()
    }

    /// Its address, without TLS.
    pub fn address(&self) -> String {
        format!("postgres://usher@127.0.0.1:{}/usher?sslmode=disable", self.port)
    }

    /// Its first process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown: sessions are ended, what is committed is written.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn finished(command: &mut Command) -> Outcome<()> {
    let told = command.output()?;
    if told.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&told.stderr).into_owned().into()) }
}

/// Where the server's programs are: the newest of Debian's, else those in the path.
fn programs() -> Outcome<PathBuf> {
    let mut versions: Vec<PathBuf> =
        fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    let in_path = || std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).find(|folder| folder.join("initdb").exists());
    versions.pop().or_else(in_path).ok_or_else(|| "PostgreSQL is needed: apt-get install postgresql".into())
}

/// The account to run under, if this is root.
fn account() -> Option<(u32, u32)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let own = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.to_owned();
    if own != "0" {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let of = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
        Some((fields.next()??, fields.next()??))
    };
    of("postgres").or_else(|| of("nobody"))
}
