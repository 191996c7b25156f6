//! The server's certificate from files, and the names it is good for. The files may be replaced while the server runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use usher_api_management::Site;
use usher_domain::HubName;
use usher_hub_embedded::EmbeddedHubs;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::StartError;

/// A certificate with its key and names, and where they come from.
pub struct Certificate {
    files: (PathBuf, PathBuf),
    current: RwLock<Served>,
}

struct Served {
    identity: Arc<CertifiedKey>,
    /// DNS names, some with a wildcard.
    names: Vec<String>,
}

impl Certificate {
    /// Reads PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, StartError> {
        let current = RwLock::new(Served::read(certificate, key)?);
        Ok(Self { files: (certificate.to_owned(), key.to_owned()), current })
    }

    /// Reads the files again; new connections get what is in them. Says whether there was something new. Where they cannot be used,
    /// perhaps since only one of them was replaced yet, what was read before stays.
    pub fn renew(&self) -> Result<bool, StartError> {
        let found = Served::read(&self.files.0, &self.files.1)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = found.identity.cert != current.identity.cert;
        if is_new {
            *current = found;
        }
        Ok(is_new)
    }

    /// Whether clients that look for this name accept the certificate (RFC 9525 section 6.3: a wildcard stands for one label).
    fn covers(&self, name: &str) -> bool {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.names.iter().any(|served| match served.strip_prefix("*.") {
            Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
            None => served.eq_ignore_ascii_case(name),
        })
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).identity))
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Served {
    fn read(certificate: &Path, key: &Path) -> Result<Self, StartError> {
        let unusable = |path: &Path, why: String| {
            let next = "tls.certificate is a PEM file with the chain, leaf first; tls.key one with the leaf's private key.";
            StartError::new(format!("{}: {why}", path.display()), next)
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|why| unusable(certificate, why.to_string()))?;
        let leaf = chain.first().ok_or_else(|| unusable(certificate, "it holds no certificate".into()))?;
        let names = dns_names(leaf).ok_or_else(|| unusable(certificate, "its first certificate cannot be read".into()))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|why| unusable(key, why.to_string()))?;
        let identity = CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider());
        let identity = identity.map_err(|why| unusable(key, format!("it does not belong to {}: {why}", certificate.display())))?;
        Ok(Self { identity: Arc::new(identity), names })
    }
}

fn dns_names(leaf: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    let found = leaf.subject_alternative_name().ok()?;
    let names = found.iter().flat_map(|extension| &extension.value.general_names);
    Some(names.filter_map(|name| if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }).collect())
}

/// What the management API asks of a node.
pub struct NodeSite {
    /// The hubs in this installation.
    pub hubs: Arc<EmbeddedHubs>,
    /// The certificate.
    pub certificate: Arc<Certificate>,
}

impl Site for NodeSite {
    fn is_embedded(&self, hub: &HubName) -> bool {
        self.hubs.get(hub).is_some()
    }

    fn serve_host(&self, host_name: &str) -> Result<(), String> {
        if self.certificate.covers(host_name) {
            return Ok(());
        }
        Err(format!("the certificate does not name {host_name}: put one that does, or a wildcard, into tls.certificate of every node"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pair_is_read_with_its_names_and_a_wrong_pair_is_refused() {
        let folder = std::env::temp_dir().join(format!("usher-certificate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = || rcgen::generate_simple_self_signed(["dps.example.com".to_owned(), "*.dps.example.com".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let (chain, key, wrong) = (folder.join("chain"), folder.join("key"), folder.join("wrong"));
        std::fs::write(&chain, one.cert.pem()).unwrap();
        std::fs::write(&key, one.signing_key.serialize_pem()).unwrap();
        std::fs::write(&wrong, other.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::read(&chain, &key).unwrap();
        for (name, covered) in
            [("dps.example.com", true), ("Plant.DPS.example.com", true), ("a.b.dps.example.com", false), ("example.com", false)]
        {
            assert_eq!(certificate.covers(name), covered, "{name}");
        }
        for (chain, key) in [(&chain, &wrong), (&key, &key), (&chain, &chain), (&folder.join("none"), &key)] {
            assert!(Certificate::read(chain, key).is_err());
        }
        assert!(!certificate.renew().unwrap());
        std::fs::write(&chain, other.cert.pem()).unwrap();
        assert!(certificate.renew().is_err() && certificate.covers("dps.example.com"), "half of a new pair is not taken");
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(certificate.renew().unwrap() && !certificate.renew().unwrap());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
