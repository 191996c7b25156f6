//! A TPM, by tpm2-tools: a real one through tpm2-tss, or a software one, as the TCTI says.
//!
//! The tools are separate programs, so that this client needs no TPM libraries to build. Each step is one command; what the TPM makes
//! along the way lies in a folder of its own, which goes with the value.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use usher_attestation::{sas, tpm};
use usher_domain::document::TpmDocument;

use crate::Failure;

/// The header that tpm2_activatecredential expects before a credential (tpm2-tools: lib/files.c).
const CREDENTIAL_HEADER: [u8; 8] = [0xBA, 0xDC, 0xC0, 0xDE, 0, 0, 0, 1];
/// The attributes of the storage root key that Azure's SDKs make (azure-iot-sdk-c: hsm_client_tpm.c).
const SRK_ATTRIBUTES: &str = "restricted|decrypt|fixedtpm|fixedparent|noda|userwithauth|sensitivedataorigin";

/// A TPM with its endorsement key and storage root key at hand.
pub struct Tpm {
    folder: PathBuf,
    tcti: Option<String>,
    endorsement_key: Vec<u8>,
    storage_root_key: Vec<u8>,
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Tpm {
    /// Opens the TPM that `tcti` names (`swtpm:host=127.0.0.1,port=2321`, `device:/dev/tpmrm0`), or the machine's own.
    pub fn open(tcti: Option<String>) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("usher-tpm-{}-{}", std::process::id(), crate::now_s()));
        fs::create_dir_all(&folder).map_err(|why| trouble(why.to_string()))?;
        let mut tpm = Self { folder, tcti, endorsement_key: Vec::new(), storage_root_key: Vec::new() };
        tpm.run("tpm2_createek", &["-G", "rsa", "-c", "ek.ctx", "-u", "ek.pub"])?;
        tpm.run("tpm2_createprimary", &["-C", "o", "-G", "rsa2048:aes128cfb", "-a", SRK_ATTRIBUTES, "-c", "srk.ctx"])?;
        tpm.run("tpm2_readpublic", &["-c", "srk.ctx", "-o", "srk.pub"])?;
        tpm.flush()?;
        tpm.endorsement_key = tpm.read("ek.pub")?;
        tpm.storage_root_key = tpm.read("srk.pub")?;
        Ok(tpm)
    }

    /// Both public keys, as register bodies and enrollments carry them.
    pub fn keys(&self) -> TpmDocument {
        TpmDocument {
            endorsement_key: STANDARD.encode(&self.endorsement_key),
            storage_root_key: Some(STANDARD.encode(&self.storage_root_key)),
        }
    }

    /// TPM2B_PUBLIC of the endorsement key.
    pub fn endorsement_key(&self) -> &[u8] {
        &self.endorsement_key
    }

    /// TPM2B_PUBLIC of the storage root key.
    pub fn storage_root_key(&self) -> &[u8] {
        &self.storage_root_key
    }

    /// The registration ID that Azure's SDKs make of the endorsement key.
    pub fn registration_id(&self) -> Result<String, Failure> {
        let key = tpm::StorageKey::parse(&self.endorsement_key).map_err(|why| trouble(why.to_string()))?;
        Ok(tpm::registration_id(&key))
    }

    /// Takes over the key in an activation blob; the one before is forgotten. Only the TPM that the blob was made for can do this.
    pub fn activate(&self, blob: &[u8]) -> Result<(), Failure> {
        let [identity, secret, duplicate, seed, public] = split(blob).ok_or_else(|| trouble("the activation blob is cut short".into()))?;
        self.write("cred.blob", &[&CREDENTIAL_HEADER, identity, secret].concat())?;
        self.write("dup.priv", duplicate)?;
        self.write("dup.seed", seed)?;
        self.write("dup.pub", public)?;
        self.run("tpm2_startauthsession", &["--policy-session", "-S", "session.ctx"])?;
        self.run("tpm2_policysecret", &["-S", "session.ctx", "-c", "e"])?;
        self.run(
            "tpm2_activatecredential",
            &["-c", "srk.ctx", "-C", "ek.ctx", "-i", "cred.blob", "-o", "inner", "-P", "session:session.ctx"],
        )?;
        self.run("tpm2_flushcontext", &["session.ctx"])?;
        self.flush()?;
        self.run("tpm2_import", &["-C", "srk.ctx", "-i", "dup.priv", "-u", "dup.pub", "-s", "dup.seed", "-k", "inner", "-r", "key.priv"])?;
        self.flush()?;
        self.run("tpm2_load", &["-C", "srk.ctx", "-u", "dup.pub", "-r", "key.priv", "-c", "key.ctx"])?;
        let _ = fs::remove_file(self.folder.join("inner"));
        self.flush()
    }

    /// A SAS token for `resource`, signed inside the TPM by the key last activated.
    pub fn token(&self, resource: &str, expiry_s: i64, key_name: Option<&str>) -> Result<String, Failure> {
        let resource = utf8_percent_encode(resource, NON_ALPHANUMERIC).to_string();
        self.write("message", sas::signed_text(&resource, expiry_s).as_bytes())?;
        self.run("tpm2_hmac", &["-c", "key.ctx", "-o", "signature", "message"])?;
        self.flush()?;
        let signature = STANDARD.encode(self.read("signature")?);
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
        let token = format!("SharedAccessSignature sr={resource}&sig={signature}&se={expiry_s}");
        Ok(key_name.map_or_else(|| token.clone(), |name| format!("{token}&skn={name}")))
    }

    /// A software TPM has room for three objects; a real one behind a resource manager does not mind.
    fn flush(&self) -> Result<(), Failure> {
        self.run("tpm2_flushcontext", &["-t"])
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if let Some(tcti) = &self.tcti {
            command.env("TPM2TOOLS_TCTI", tcti);
        }
        let done = command.output().map_err(|why| {
            Failure::new("TPM", format!("{program} cannot be run: {why}"), "Install tpm2-tools (apt-get install tpm2-tools).")
        })?;
        if done.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&done.stderr);
        let last = errors.lines().rfind(|line| line.contains("ERROR")).unwrap_or("it gave no reason").to_owned();
        Err(trouble(format!("{program}: {last}")))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        fs::read(self.folder.join(name)).map_err(|why| trouble(format!("{name}: {why}")))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        fs::write(self.folder.join(name), bytes).map_err(|why| trouble(format!("{name}: {why}")))
    }
}

/// The first five elements of an activation blob, each with its size before it.
fn split(blob: &[u8]) -> Option<[&[u8]; 5]> {
    let mut rest = blob;
    let mut parts = [&[][..]; 5];
    for part in &mut parts {
        let (size, _) = rest.split_first_chunk::<2>()?;
        let (element, after) = rest.split_at_checked(2 + usize::from(u16::from_be_bytes(*size)))?;
        (*part, rest) = (element, after);
    }
    Some(parts)
}

fn trouble(what: String) -> Failure {
    Failure::new("TPM", what, "Check --tcti, and that no other program holds the TPM.")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_blob_is_split_by_its_sizes_and_a_short_one_is_refused() {
        let blob = [0, 1, 9, 0, 0, 0, 2, 7, 7, 0, 0, 0, 0, 0, 3, 1, 1, 1];
        assert_eq!(super::split(&blob), Some([&blob[0..3], &blob[3..5], &blob[5..9], &blob[9..11], &blob[11..13]]));
        assert_eq!(super::split(&blob[..12]), None);
        assert_eq!(super::split(&[0xFF, 0xFF]), None);
    }
}
