//! A real Mosquitto with its dynamic-security plugin, set up as `docs/mosquitto.md` says, and its own command-line clients.

#![allow(clippy::unwrap_used, dead_code)]

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::RootCertStore;
use serde_json::{Map, Value, json};
use usher_domain::{
    DeviceId, Secret,
    hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
};
use usher_hub_mosquitto::MosquittoHub;

/// The operator's own administrator.
pub const ADMIN: &str = "admin";
pub const ADMIN_PASSWORD: &str = "operator";
/// Usher's.
pub const USHER: &str = "usher@broker";
pub const USHER_PASSWORD: &str = "p/ss:w%rd@";
pub const KEY: &str = "cHJpbWFyeSBrZXkgb2YgYSBkZXZpY2U=";
pub const OTHER_KEY: &str = "c2Vjb25kYXJ5IGtleSBvZiBhIGRldmljZQ==";
/// What usher's client must be allowed, as docs/mosquitto.md has it.
pub const RIGHTS: [(&str, &str); 7] = [
    ("publishClientSend", "$CONTROL/dynamic-security/v1"),
    ("publishClientReceive", "$CONTROL/dynamic-security/v1/response"),
    ("subscribeLiteral", "$CONTROL/dynamic-security/v1/response"),
    ("publishClientSend", "devices/#"),
    ("publishClientReceive", "devices/#"),
    ("subscribePattern", "devices/#"),
    ("unsubscribePattern", "devices/#"),
];
/// For a broker to start, or for a message to come.
const PATIENCE: Duration = Duration::from_secs(10);

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A broker of one test's own.
pub struct Bed {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
    pub port: u16,
    /// The listener for devices with certificates.
    pub certificate_port: u16,
    running: Option<Child>,
}

impl Bed {
    /// A running broker; `None` where Mosquitto is not installed, which is said.
    pub fn start() -> Option<Self> {
        let Some(plugin) = plugin() else {
            eprintln!("SKIPPED: mosquitto and its dynamic-security plugin are not installed (apt-get install mosquitto mosquitto-clients)");
            return None;
        };
        let folder =
            std::env::temp_dir().join(format!("usher-mosquitto-{}-{}", std::process::id(), FOLDERS.fetch_add(1, Ordering::SeqCst)));
        fs::create_dir_all(&folder).unwrap();
        let mut bed = Self { folder, authority: authority(), port: free_port(), certificate_port: free_port(), running: None };
        fs::write(bed.file("ca.pem"), bed.authority.pem()).unwrap();
        bed.issue("localhost", "server");
        bed.configure(&plugin);
        bed.run();
        bed.admit(USHER, USHER_PASSWORD, &RIGHTS);
        Some(bed)
    }

    /// Makes a client of that name with a role of that name.
    pub fn admit(&self, user: &str, password: &str, rights: &[(&str, &str)]) {
        self.control(&["createRole", user]);
        for (kind, topic) in rights {
            self.control(&["addRoleACL", user, kind, topic, "allow"]);
        }
        self.control(&["createClient", user, "-p", password]);
        self.control(&["addClientRole", user, user]);
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A certificate and its key as `{name}.pem` and `{name}.key`.
    pub fn issue(&self, common_name: &str, name: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        fs::write(self.file(&format!("{name}.pem")), params.signed_by(&key, &self.authority).unwrap().pem()).unwrap();
        fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn configure(&self, plugin: &Path) {
        let clients = self.file("dynamic-security.json");
        run("mosquitto_ctrl", &["dynsec", "init", text(&clients), ADMIN, ADMIN_PASSWORD]);
        let (folder, certificates) = (text(&self.folder), self.folder.display());
        let tls = format!("cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\nkeyfile {certificates}/server.key\n");
        let lines = [
            format!("user root\nallow_anonymous false\nplugin {}\nplugin_opt_config_file {}", plugin.display(), clients.display()),
            format!("persistence true\npersistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1"),
            format!("listener {} 127.0.0.1\n{tls}", self.port),
            format!("listener {} 127.0.0.1\n{tls}require_certificate true\nuse_identity_as_username true", self.certificate_port),
        ];
        fs::write(self.file("mosquitto.conf"), lines.join("\n")).unwrap();
    }

    /// Starts the broker (again), with what it has saved.
    pub fn run(&mut self) {
        let log = fs::File::create(self.file("log")).unwrap();
        let mut broker = Command::new(binary("mosquitto").unwrap());
        self.running = Some(broker.arg("-c").arg(self.file("mosquitto.conf")).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.certificate_port)).is_err() {
            assert!(Instant::now() < until, "mosquitto does not start: {}", fs::read_to_string(self.file("log")).unwrap());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// As in a crash: the broker is given no time for anything.
    pub fn kill(&mut self) {
        if let Some(mut broker) = self.running.take() {
            broker.kill().unwrap();
            broker.wait().unwrap();
        }
    }

    pub fn trust(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        Arc::new(roots)
    }

    pub fn hub(&self) -> MosquittoHub {
        self.hub_as("usher%40broker", "p%2Fss%3Aw%25rd%40")
    }

    /// A hub by percent-encoded user and password.
    pub fn hub_as(&self, user: &str, password: &str) -> MosquittoHub {
        MosquittoHub::new(&Secret::new(format!("mosquitto://{user}:{password}@localhost:{}", self.port)), self.trust()).unwrap()
    }

    /// What a subscriber hears first, within a second; else the client's complaints. It ends well also where it was refused.
    pub fn hear(&self, user: &str, password: &str, topic: &str) -> Result<String, String> {
        let output = self.client("mosquitto_sub", user, password, &["-C", "1", "-W", "1", "-t", topic]);
        heard(&output).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn publish(&self, user: &str, password: &str, topic: &str, arguments: &[&str]) {
        let output = self.client("mosquitto_pub", user, password, &[&["-q", "1", "-t", topic], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What is retained under `devices/`.
    pub fn retained(&self, topic: &str) -> Option<String> {
        self.hear(USHER, USHER_PASSWORD, topic).ok()
    }

    /// Publishes as an application would.
    pub fn set(&self, topic: &str, payload: &str) {
        self.publish(USHER, USHER_PASSWORD, topic, &["-r", "-m", payload]);
    }

    fn client(&self, program: &str, user: &str, password: &str, arguments: &[&str]) -> Output {
        let (port, ca) = (self.port.to_string(), self.file("ca.pem"));
        let id = if user == USHER { "an-application" } else { user };
        let fixed = ["-h", "localhost", "-p", &port, "--cafile", text(&ca), "-u", user, "-P", password, "-i", id];
        Command::new(binary(program).unwrap()).args(fixed).args(arguments).output().unwrap()
    }

    /// Speaks on the listener for certificates, with the one called `name`.
    pub fn hear_by_certificate(&self, name: &str, id: &str, topic: &str) -> Option<String> {
        let (port, ca) = (self.certificate_port.to_string(), self.file("ca.pem"));
        let (certificate, key) = (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        let tls = ["--cafile", text(&ca), "--cert", text(&certificate), "--key", text(&key)];
        let what = ["-h", "localhost", "-p", &port, "-i", id, "-C", "1", "-W", "1", "-t", topic];
        heard(&Command::new(binary("mosquitto_sub").unwrap()).args(tls).args(what).output().unwrap())
    }

    /// Gives the plugin a command as an administrator would.
    pub fn control(&self, arguments: &[&str]) {
        let (port, ca) = (self.port.to_string(), self.file("ca.pem"));
        let fixed = ["-h", "localhost", "-p", &port, "--cafile", text(&ca), "-u", ADMIN, "-P", ADMIN_PASSWORD, "dynsec"];
        run("mosquitto_ctrl", &[&fixed[..], arguments].concat());
    }

    /// The clients and roles that the broker has saved.
    pub fn saved(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file("dynamic-security.json")).unwrap()).unwrap()
    }

    pub fn saved_client(&self, user: &str) -> Option<Value> {
        self.saved()["clients"].as_array().unwrap().iter().find(|client| client["username"] == user).cloned()
    }

    /// Processor time that the broker has used, in milliseconds (proc_pid_stat(5): fields 14 and 15, hundredths of a second).
    pub fn spent_ms(&self) -> u64 {
        let pid = self.running.as_ref().unwrap().id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test CA");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Debian keeps the broker where only root looks.
fn binary(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]).map(|folder| Path::new(folder).join(name)).find(|file| file.is_file())
}

fn plugin() -> Option<PathBuf> {
    for name in ["mosquitto", "mosquitto_sub", "mosquitto_ctrl"] {
        binary(name)?;
    }
    let libraries = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    libraries.chain([PathBuf::from("/usr/lib")]).map(|folder| folder.join("mosquitto_dynamic_security.so")).find(|file| file.is_file())
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(binary(program).unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn heard(output: &Output) -> Option<String> {
    let heard = String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned();
    (!heard.is_empty()).then_some(heard)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

pub fn spec(device_id: &str) -> DeviceSpec {
    with(device_id, DeviceCredential::SymmetricKeys { primary: Secret::new(KEY), secondary: Secret::new(OTHER_KEY) })
}

pub fn with(device_id: &str, credential: DeviceCredential) -> DeviceSpec {
    DeviceSpec { device_id: id(device_id), credential, iot_edge: false }
}

pub fn twin(color: &str) -> InitialTwin {
    let object = |value: Value| -> Map<String, Value> { value.as_object().unwrap().clone() };
    InitialTwin { tags: object(json!({ "site": color })), desired: object(json!({ "color": color })) }
}
