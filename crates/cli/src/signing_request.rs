//! `usher device provision --csr`: a device's own key, the request to have it certified, and the files that both end in.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P384_SHA384};
use usher_device::{Credential, Failure, Profile};

use crate::show::certificate_pem;

/// A key on its way to a certificate.
pub struct Requested {
    /// PKCS#10, DER in base64.
    pub request: String,
    key: KeyPair,
    folder: PathBuf,
}

impl Requested {
    /// Makes a key on NIST P-384, the one that the cloud certifies too, and saves it in `folder` as `device.key` before anything is sent.
    pub fn make(folder: &Path, registration_id: &str) -> Result<Self, Failure> {
        let failed = |why: rcgen::Error| Failure::settings(format!("the signing request could not be made: {why}"));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, registration_id);
        let request = STANDARD.encode(params.serialize_request(&key).map_err(failed)?.der());
        fs::create_dir_all(folder).map_err(|why| unwritable(folder, &why))?;
        write_private(&folder.join("device.key"), &key.serialize_pem())?;
        Ok(Self { request, key, folder: folder.to_owned() })
    }

    /// Saves the issued chain as `device.pem`, and gives back the device as it is from now on.
    pub fn issued(&self, profile: &Profile, chain: Option<&[String]>) -> Result<Profile, Failure> {
        let missing = || {
            let next = "Does the enrollment name a credential policy (credentialPolicyName)? See usher ca list.";
            Failure::new("certificate", "the service issued no certificate", next)
        };
        let pem: String = chain.ok_or_else(missing)?.iter().map(|der| certificate_pem(der)).collect();
        let file = self.folder.join("device.pem");
        fs::write(&file, &pem).map_err(|why| unwritable(&file, &why))?;
        let credential = Credential::from_pem(pem.as_bytes(), self.key.serialize_pem().as_bytes())?;
        Ok(Profile { credential, signing_request: None, ..profile.clone() })
    }
}

/// Writes what only this user may read.
fn write_private(file: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).map_err(|why| unwritable(file, &why))?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(|why| unwritable(file, &why))
}

fn unwritable(path: &Path, why: &std::io::Error) -> Failure {
    Failure::settings(format!("cannot write {}: {why}", path.display()))
}
