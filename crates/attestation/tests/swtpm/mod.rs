//! A software TPM and the commands that a device's library would send to it.
#![allow(dead_code, clippy::unwrap_used)]

pub mod maker;

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::pki::folder;

pub const SRK_ATTRIBUTES: &str = "restricted|decrypt|fixedtpm|fixedparent|noda|userwithauth|sensitivedataorigin";
pub const EK_ATTRIBUTES: &str = "restricted|decrypt|fixedtpm|fixedparent|userwithauth|sensitivedataorigin";

/// What has to be there; the test says how to get it where it is not.
const INSTALL: &str = "apt-get install -y --no-install-recommends swtpm tpm2-tools";

/// A TPM with a storage root key. Ends with the test.
pub struct Tpm {
    process: Child,
    tcti: String,
    folder: PathBuf,
}

/// An endorsement key.
pub struct Ek {
    /// TPM2B_PUBLIC.
    pub public: Vec<u8>,
    context: &'static str,
    /// Whether its use needs PolicySecret(endorsement hierarchy), as the default templates demand.
    by_policy: bool,
}

/// A command that the TPM refused.
#[derive(Debug)]
pub struct Failed {
    pub step: String,
    pub message: String,
}

impl Tpm {
    pub fn start(test: &str, srk: &str) -> Self {
        let folder = folder(&format!("swtpm-{test}"));
        std::fs::create_dir(folder.join("state")).unwrap();
        let tpm = Self::power_on(folder);
        tpm.primary("o", srk, "sha256", SRK_ATTRIBUTES, "srk");
        tpm
    }

    /// Starts the TPM whose state is in `folder`.
    fn power_on(folder: PathBuf) -> Self {
        let (process, port) = (0..20).find_map(|_| listening_swtpm(&folder)).expect("swtpm did not start on any of 20 ports");
        let tcti = format!("swtpm:host=127.0.0.1,port={port}");
        Self { process, tcti, folder }
    }

    /// Runs one of the tpm2-tools; transient objects are flushed afterwards, for there is no resource manager.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failed> {
        let outcome = self.tool(program, arguments);
        if program != "tpm2_startauthsession" && !arguments.iter().any(|a| a.starts_with("session:")) {
            self.tool("tpm2_flushcontext", &["-t"])?;
        }
        outcome
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<(), Failed> {
        let output = Command::new(program)
            .args(arguments)
            .env("TPM2TOOLS_TCTI", &self.tcti)
            .current_dir(&self.folder)
            .output()
            .unwrap_or_else(|error| panic!("{program} cannot be run ({error}); install it: {INSTALL}"));
        if output.status.success() {
            return Ok(());
        }
        Err(Failed { step: program.to_owned(), message: String::from_utf8_lossy(&output.stderr).into_owned() })
    }

    /// Makes a primary key and gives its TPM2B_PUBLIC; files are called after `name`.
    pub fn primary(&self, hierarchy: &str, algorithm: &str, hash: &str, attributes: &str, name: &str) -> Vec<u8> {
        let context = format!("{name}.ctx");
        let make = ["-C", hierarchy, "-G", algorithm, "-g", hash, "-a", attributes, "-c", &context];
        self.run("tpm2_createprimary", &make).unwrap();
        self.run("tpm2_readpublic", &["-c", &context, "-o", &format!("{name}.pub"), "-n", &format!("{name}.name")]).unwrap();
        self.read(&format!("{name}.pub"))
    }

    /// An endorsement key from the TCG's default template: `rsa` or `ecc`.
    pub fn default_ek(&self, algorithm: &str) -> Ek {
        self.run("tpm2_createek", &["-G", algorithm, "-c", "ek.ctx", "-u", "ek.pub"]).unwrap();
        Ek { public: self.read("ek.pub"), context: "ek.ctx", by_policy: true }
    }

    /// An endorsement key of another kind, usable with an empty authorisation.
    pub fn ek(&self, algorithm: &str, hash: &str) -> Ek {
        Ek { public: self.primary("e", algorithm, hash, EK_ATTRIBUTES, "ek"), context: "ek.ctx", by_policy: false }
    }

    pub fn srk_public(&self) -> Vec<u8> {
        self.read("srk.pub")
    }

    pub fn srk_name(&self) -> Vec<u8> {
        self.read("srk.name")
    }

    /// What a device does with an activation blob: the key is then in `key.ctx`.
    pub fn activate(&self, ek: &Ek, blob: &[u8]) -> Result<(), Failed> {
        let parts = parts(blob);
        // tpm2-tools' own framing of a credential: a magic number, a version, both TPM2Bs.
        let header = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        self.write("credential", &[header.as_slice(), &parts[0], &parts[1]].concat());
        self.write("dup.priv", &parts[2]);
        self.write("dup.seed", &parts[3]);
        self.write("dup.pub", &parts[4]);
        self.activate_credential(ek)?;
        let import = ["-C", "srk.ctx", "-i", "dup.priv", "-u", "dup.pub", "-s", "dup.seed", "-k", "inner.key", "-r", "key.priv"];
        self.run("tpm2_import", &import)?;
        self.run("tpm2_load", &["-C", "srk.ctx", "-u", "dup.pub", "-r", "key.priv", "-c", "key.ctx"])
    }

    fn activate_credential(&self, ek: &Ek) -> Result<(), Failed> {
        let activate = ["-c", "srk.ctx", "-C", ek.context, "-i", "credential", "-o", "inner.key"];
        if !ek.by_policy {
            return self.run("tpm2_activatecredential", &activate);
        }
        self.run("tpm2_startauthsession", &["--policy-session", "-S", "ek.session"])?;
        self.tool("tpm2_policysecret", &["-S", "ek.session", "-c", "e"])?;
        let outcome = self.tool("tpm2_activatecredential", &[activate.as_slice(), &["-P", "session:ek.session"]].concat());
        self.tool("tpm2_flushcontext", &["ek.session"])?;
        self.tool("tpm2_flushcontext", &["-t"])?;
        outcome
    }

    /// TPM2_HMAC with the activated key.
    pub fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, Failed> {
        self.write("message", message);
        self.run("tpm2_hmac", &["-c", "key.ctx", "-o", "signature", "message"])?;
        Ok(self.read("signature"))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The six parts, each with its size in front.
fn parts(blob: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = blob;
    while rest.len() >= 2 {
        let size = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        parts.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    parts
}

/// Starts swtpm on a free pair of ports; `None` where another process was quicker.
fn listening_swtpm(folder: &std::path::Path) -> Option<(Child, u16)> {
    let port = free_pair()?;
    let control = port + 1;
    let mut process = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", "dir=state"])
        .args(["--server", &format!("type=tcp,port={port},bindaddr=127.0.0.1,disconnect")])
        .args(["--ctrl", &format!("type=tcp,port={control},bindaddr=127.0.0.1")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("swtpm cannot be run ({error}); install it: {INSTALL}"));
    for _ in 0..200 {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some((process, port));
        }
        sleep(Duration::from_millis(25));
    }
    let _ = process.kill();
    let _ = process.wait();
    None
}

/// Two neighbouring ports: tpm2-tss looks for the control channel on the next one.
fn free_pair() -> Option<u16> {
    let first = TcpListener::bind(("127.0.0.1", 0)).ok()?;
    let port = first.local_addr().ok()?.port();
    TcpListener::bind(("127.0.0.1", port.checked_add(1)?)).ok()?;
    Some(port)
}
