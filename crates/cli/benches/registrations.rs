//! Registrations per second, each on a new mutual-TLS connection (ECDSA P-256), durable and with the device created on the embedded
//! hub, against nginx's bare mutual-TLS handshakes per second on the same cores in the same run.
//!
//! `apt-get install nginx-light && cargo bench -p usher --bench registrations`
//!
//! Client and server share the machine in both cases, so the client's part of each handshake weighs the same on both sides.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CONNECTIONS: usize = 64;
const DEVICES: usize = 6_000;
const ROUNDS: usize = 3;
const NGINX_PORT: u16 = 18_443;

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = std::env::temp_dir().join(format!("usher-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = runtime.block_on(compare(&folder));
    let _ = fs::remove_dir_all(&folder);
    outcome
}

async fn compare(folder: &Path) -> Outcome<()> {
    let (server, manifest) = start_usher(folder)?;
    let pki = Pki::new()?;
    enroll(&manifest, folder, &pki.root_pem).await?;
    println!("making {DEVICES} device certificates");
    let devices = Arc::new(pki.devices(DEVICES, &fs::read(folder.join("state/ca.pem"))?)?);
    let nginx = start_nginx(folder, &pki)?;
    let scope = manifest["idScope"].as_str().unwrap_or_default().to_owned();
    let port = u16::try_from(manifest["device"]["https"].as_u64().unwrap_or_default())?;
    println!("memory of the idle server: {:.1} MiB", rss_mib(&server.0)?);
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let share = devices.len() / ROUNDS;
        let range = round * share..(round + 1) * share;
        let handshakes = rate(&devices, range.clone(), NGINX_PORT, None).await?;
        let registrations = rate(&devices, range, port, Some(&scope)).await?;
        println!("nginx {handshakes:.0} handshakes/s, usher {registrations:.0} registrations/s, ratio {:.2}", registrations / handshakes);
        ratios.push(registrations / handshakes);
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio, median of {ROUNDS}: {:.2}", ratios[ROUNDS / 2]);
    println!("memory after {DEVICES} registrations: {:.1} MiB", rss_mib(&server.0)?);
    println!("binary: {:.1} MiB", fs::metadata(env!("CARGO_BIN_EXE_usher"))?.len() as f64 / 1048576.0);
    drop((nginx, server));
    Ok(())
}

/// Stops its process when it goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM and not SIGKILL: nginx takes its workers along only when it is asked to stop.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn start_usher(folder: &Path) -> Outcome<(Running, Value)> {
    let state = folder.join("state");
    let child = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(["dev", "--https-port", "0", "--mqtts-port", "0", "--amqps-port", "0", "--log", "off", "--bind", "127.0.0.1", "--state"])
        .arg(&state)
        .stdout(Stdio::null())
        .spawn()?;
    let running = Running(child);
    let started = Instant::now();
    while !state.join("dev.json").exists() {
        if started.elapsed() > Duration::from_secs(20) {
            return Err("usher dev did not start".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("usher dev was ready in {} ms", started.elapsed().as_millis());
    Ok((running, serde_json::from_slice(&fs::read(state.join("dev.json"))?)?))
}

fn start_nginx(folder: &Path, pki: &Pki) -> Outcome<Running> {
    let file = |name: &str| folder.join(name).display().to_string();
    fs::write(file("nginx.pem"), &pki.server_pem)?;
    fs::write(file("nginx.key"), &pki.server_key)?;
    fs::write(file("root.pem"), &pki.root_pem)?;
    let config = format!(
        "daemon off; worker_processes 2; pid {pid}; error_log {log} crit;\nevents {{ worker_connections 4096; }}\nhttp {{ access_log off;\n\
         client_body_temp_path {tmp}; proxy_temp_path {tmp}; fastcgi_temp_path {tmp}; uwsgi_temp_path {tmp}; scgi_temp_path {tmp};\n\
         server {{ listen 127.0.0.1:{NGINX_PORT} ssl; ssl_certificate {cert}; ssl_certificate_key {key}; ssl_client_certificate {root};\n\
         ssl_verify_client on; ssl_verify_depth 3; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off; location / {{ return 204; }} }} }}\n",
        pid = file("nginx.pid"),
        log = file("nginx.log"),
        tmp = file("tmp"),
        cert = file("nginx.pem"),
        key = file("nginx.key"),
        root = file("root.pem"),
    );
    fs::write(file("nginx.conf"), config)?;
    let started = Command::new("nginx").arg("-c").arg(file("nginx.conf")).arg("-p").arg(folder).spawn();
    let child = started.map_err(|why| format!("nginx cannot be started ({why}): apt-get install nginx-light"))?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(Running(child))
}

/// Connections per second; with a scope each registers a device, without one it ends after the handshake.
async fn rate(devices: &Arc<Vec<Device>>, range: std::ops::Range<usize>, port: u16, scope: Option<&str>) -> Outcome<f64> {
    let (next, started, count) = (Arc::new(AtomicUsize::new(range.start)), Instant::now(), range.len());
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (devices, next, end, scope) = (Arc::clone(devices), Arc::clone(&next), range.end, scope.map(str::to_owned));
            tokio::spawn(async move {
                while let Some(device) = devices.get(next.fetch_add(1, Ordering::Relaxed)).filter(|device| device.number < end) {
                    one(device, port, scope.as_deref()).await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.await??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

async fn one(device: &Device, port: u16, scope: Option<&str>) -> Outcome<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut tls = TlsConnector::from(Arc::clone(&device.tls)).connect(ServerName::try_from("localhost")?, stream).await?;
    if let Some(scope) = scope {
        let request = format!(
            "PUT /{scope}/registrations/{id}/register?api-version=2019-03-31 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{{}}",
            id = device.id
        );
        tls.write_all(request.as_bytes()).await?;
    } else {
        tls.shutdown().await?;
    }
    let mut answer = Vec::new();
    // A server that closes without a TLS goodbye has still answered.
    let _ = tls.read_to_end(&mut answer).await;
    if scope.is_some() && !String::from_utf8_lossy(&answer).contains("\"status\":\"assigned\"") {
        return Err(format!("{} was not assigned: {}", device.id, String::from_utf8_lossy(&answer)).into());
    }
    Ok(())
}

struct Device {
    number: usize,
    id: String,
    tls: Arc<ClientConfig>,
}

struct Pki {
    root_pem: String,
    issuer: Issuer<'static, KeyPair>,
    server_pem: String,
    server_key: String,
}

impl Pki {
    fn new() -> Outcome<Self> {
        let mut params = named("bench root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let root_pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        let server = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named("nginx");
        params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into()?)];
        let server_pem = params.signed_by(&server, &issuer)?.pem();
        Ok(Self { root_pem, issuer, server_pem, server_key: server.serialize_pem() })
    }

    fn devices(&self, count: usize, usher_ca: &[u8]) -> Outcome<Vec<Device>> {
        let mut roots = RootCertStore::empty();
        for pem in [usher_ca, self.root_pem.as_bytes()] {
            roots.add(CertificateDer::from_pem_slice(pem)?)?;
        }
        let (roots, provider) = (Arc::new(roots), Arc::new(aws_lc_rs::default_provider()));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let device = |number: usize| {
            let id = format!("bench-{number}");
            let leaf = named(&id).signed_by(&key, &self.issuer)?.der().clone();
            let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(Arc::clone(&roots))
                .with_client_auth_cert(vec![leaf], secret)?;
            config.resumption = rustls::client::Resumption::disabled();
            Ok(Device { number, id, tls: Arc::new(config) })
        };
        (0..count).map(device).collect()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// Enrolls the root through the service API.
async fn enroll(manifest: &Value, folder: &Path, root_pem: &str) -> Outcome<()> {
    let trust: PathBuf = folder.join("state/ca.pem");
    let roots = usher_device::trust_from_file(&trust).map_err(|why| why.to_string())?;
    let connection_string = manifest["service"]["connectionString"].as_str().unwrap_or_default();
    let client = usher_device::ServiceClient::new(connection_string, roots)?;
    let attestation = json!({ "type": "x509", "x509": { "signingCertificates": { "primary": { "certificate": root_pem } } } });
    client.put("/enrollmentGroups/bench", &json!({ "enrollmentGroupId": "bench", "attestation": attestation })).await?;
    Ok(())
}

fn rss_mib(child: &Child) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<f64>()? / 1024.0)
}
