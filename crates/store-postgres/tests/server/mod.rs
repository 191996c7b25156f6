//! A real PostgreSQL on a free port and in a folder of its own, which can be killed and started again.
//!
//! PostgreSQL does not run as root; under root it runs as `postgres`, else `nobody`.

#![allow(dead_code, reason = "each test file uses a part")]

mod standby;

use std::{
    fs,
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Debian keeps the server's programs out of the path.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server with one database, `usher`, and one user of that name.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    programs: PathBuf,
    account: Option<(u32, u32)>,
    child: Option<Child>,
    tls: bool,
    /// Settings, `name=value`, from the next start on.
    settings: Vec<String>,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start(name: &str) -> Self {
        let mut server = Self::empty(name);
        let data = server.data().display().to_string();
        let made =
            server.run("initdb").args(["-D", &data, "-U", "usher", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.again();
        let made =
            server.run("createdb").args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "usher", "usher"]).output().unwrap();
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        server
    }

    /// A folder and a port.
    fn empty(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("usher-postgres-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let account = account();
        if let Some((user, group)) = account {
            std::os::unix::fs::chown(&folder, Some(user), Some(group)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port, programs: programs(), account, child: None, tls: false, settings: Vec::new() }
    }

    /// Its address, without TLS.
    pub fn address(&self) -> String {
        format!("postgres://usher@127.0.0.1:{}/usher?sslmode=disable", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, of which `data` is PostgreSQL's own.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// From the next start on it has TLS, with `server.crt` and `server.key` in its data folder.
    pub fn with_tls(&mut self, certificate: &str, key: &str) {
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            use std::os::unix::fs::PermissionsExt as _;
            let path = self.data().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = self.account {
                std::os::unix::fs::chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        self.tls = true;
    }

    /// Starts it, again after [`Postgres::kill`], and waits until it answers.
    pub fn again(&mut self) {
        let (port, data, sockets) = (self.port.to_string(), self.data(), self.folder.display().to_string());
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = self.run("postgres");
        command.arg("-D").arg(data).args(["-p", &port, "-k", &sockets, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=100"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.args(["-c", if self.tls { "ssl=on" } else { "ssl=off" }]);
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(30);
        let ready = || self.run("pg_isready").args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success();
        while !ready() {
            assert!(Instant::now() < until, "PostgreSQL does not start: {}", fs::read_to_string(self.folder.join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it and everything it has started with SIGKILL, as a crash of the machine would, but for what is in the page cache.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let parent = child.id().to_string();
        let signal = |name: &str, process: &str| drop(Command::new("kill").args([name, process]).stderr(Stdio::null()).status());
        // Halted first, so that it starts no more processes. They would end by themselves once it is gone; killed as well, they have no
        // time to finish anything.
        signal("-STOP", &parent);
        let found = Command::new("pgrep").args(["-P", &parent]).output().map(|found| String::from_utf8_lossy(&found.stdout).into_owned());
        let children: Vec<String> = found.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        let _ = child.kill();
        for each in &children {
            signal("-KILL", each);
        }
        let _ = child.wait();
        // Whoever still holds the shared memory keeps the next start from succeeding.
        let until = Instant::now() + Duration::from_secs(10);
        while children.iter().any(|each| is_running(each)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything in the database, as `pg_dump` writes it.
    pub fn dump(&self) -> String {
        let out = self.run("pg_dump").args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "usher", "usher"]).output().unwrap();
        assert!(out.status.success(), "pg_dump: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).env_remove("PGHOST").env_remove("PGOPTIONS");
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where the server's programs are: the newest of Debian's, else those in the path.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> =
        fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    let in_path = || std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).find(|folder| folder.join("initdb").exists());
    versions.pop().or_else(in_path).expect("PostgreSQL is needed for this test: apt-get install postgresql")
}

/// Whether a process is there and not only waits to be taken off the list.
fn is_running(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
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
