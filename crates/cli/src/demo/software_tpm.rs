//! A software TPM for the demo, where swtpm and tpm2-tools are installed.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Time for it to start.
const START_MAX: Duration = Duration::from_secs(5);

/// A running swtpm.
pub struct SoftwareTpm {
    process: Child,
    /// How tpm2-tools reach it.
    pub tcti: String,
}

impl Drop for SoftwareTpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl SoftwareTpm {
    /// Starts one with its state in `folder`; `None` where the programs are not installed.
    pub fn start(folder: &Path) -> Result<Option<Self>, String> {
        if !is_installed("swtpm") || !is_installed("tpm2_createek") {
            return Ok(None);
        }
        std::fs::create_dir_all(folder).map_err(|why| why.to_string())?;
        // tpm2-tss expects the control channel on the next port.
        let (command, control) = free_ports()?;
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", folder.display()))
            .arg("--server")
            .arg(format!("type=tcp,port={command},bindaddr=127.0.0.1,disconnect"))
            .arg("--ctrl")
            .arg(format!("type=tcp,port={control},bindaddr=127.0.0.1"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("swtpm cannot be started: {why}"))?;
        let tpm = Self { process, tcti: format!("swtpm:host=127.0.0.1,port={command}") };
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", command)).is_err() {
            if started.elapsed() > START_MAX {
                return Err("swtpm did not start".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(tpm))
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Two free ports in a row.
fn free_ports() -> Result<(u16, u16), String> {
    for _ in 0..100 {
        let first = TcpListener::bind(("127.0.0.1", 0)).map_err(|why| why.to_string())?;
        let port = first.local_addr().map_err(|why| why.to_string())?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok((port, port + 1));
        }
    }
    Err("there are no two free ports in a row".into())
}
