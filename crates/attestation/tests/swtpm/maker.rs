//! A TPM maker: a certificate authority of the test's own, and TPMs that leave the works with endorsement key certificates inside.

use std::{path::Path, process::Command};

use super::Tpm;
use crate::pki::folder;

const INSTALL: &str = "apt-get install -y --no-install-recommends swtpm swtpm-tools tpm2-tools";

/// A TPM from the works, and the maker's CAs.
pub struct Made {
    pub tpm: Tpm,
    /// PEM.
    pub root: String,
    /// PEM.
    pub issuer: String,
}

/// An endorsement key as it was made, with the certificate that the TPM holds for it.
pub struct Certified {
    /// TPM2B_PUBLIC.
    pub public: Vec<u8>,
    /// DER.
    pub certificate: Vec<u8>,
}

impl Made {
    /// Makes a TPM. All that the maker keeps, its CA too, is in a folder of the test's own.
    pub fn make(test: &str) -> Self {
        let folder = folder(&format!("swtpm-{test}"));
        for name in ["state", "ca", "scratch"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        configure(&folder);
        let output = Command::new("swtpm_setup")
            .args(["--tpm2", "--create-ek-cert", "--lock-nvram", "--overwrite"])
            .arg("--tpmstate")
            .arg(folder.join("state"))
            .arg("--config")
            .arg(folder.join("setup.conf"))
            .env("TMPDIR", folder.join("scratch"))
            .current_dir(&folder)
            .output()
            .unwrap_or_else(|error| panic!("swtpm_setup cannot be run ({error}); install it: {INSTALL}"));
        let told = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}\nIs all there? {INSTALL}", String::from_utf8_lossy(&told));
        let pem = |name: &str| std::fs::read_to_string(folder.join("ca").join(name)).unwrap();
        let (root, issuer) = (pem("swtpm-localca-rootca-cert.pem"), pem("issuercert.pem"));
        Self { tpm: Tpm::power_on(folder), root, issuer }
    }

    /// The RSA-2048 key.
    pub fn rsa(&self) -> Certified {
        self.certified("0x81010001", "0x1c00002")
    }

    /// The P-384 key.
    pub fn ecc(&self) -> Certified {
        self.certified("0x81010016", "0x1c00016")
    }

    fn certified(&self, key: &str, certificate: &str) -> Certified {
        self.tpm.run("tpm2_readpublic", &["-c", key, "-o", "made.pub"]).unwrap();
        self.tpm.run("tpm2_nvread", &[certificate, "-C", "o", "-o", "made.der"]).unwrap();
        Certified { public: self.tpm.read("made.pub"), certificate: self.tpm.read("made.der") }
    }
}

fn configure(folder: &Path) {
    let at = folder.display();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write(
        "ca.conf",
        format!(
            "statedir = {at}/ca\nsigningkey = {at}/ca/signkey.pem\nissuercert = {at}/ca/issuercert.pem\ncertserial = {at}/ca/certserial\n"
        ),
    );
    write("ca.options", "--platform-manufacturer Works\n--platform-version 1.0\n--platform-model Bench\n".to_owned());
    write(
        "setup.conf",
        format!(
            "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {at}/ca.conf\ncreate_certs_tool_options = {at}/ca.options\n\
             active_pcr_banks = sha256\n"
        ),
    );
}
