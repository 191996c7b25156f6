//! Whom this server trusts when it calls others: the machine's roots, and those in files that it is told of.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use usher_outbound::{Client, trusted_roots};

use crate::StartError;

/// The means to call other servers.
pub struct Outgoing {
    /// For HTTPS.
    pub client: Client,
    /// For other protocols over TLS.
    pub roots: Arc<RootCertStore>,
}

/// The means to call servers that the machine's roots vouch for, or those in `files` (PEM), which `option` named.
pub fn outgoing(files: &[PathBuf], option: &str) -> Result<Outgoing, StartError> {
    let extra = certificates(files, option)?;
    let failed = |why: usher_outbound::OutboundError| StartError::new(why.to_string(), mend(option));
    let roots = Arc::new(trusted_roots(&extra).map_err(failed)?);
    Ok(Outgoing { client: Client::trusting(Arc::clone(&roots)).map_err(failed)?, roots })
}

fn certificates(files: &[PathBuf], option: &str) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let mut trusted = Vec::new();
    for file in files {
        let failed = |why: &dyn fmt::Display| StartError::new(format!("the trusted roots in {}: {why}", file.display()), mend(option));
        let before = trusted.len();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|why| failed(&why))? {
            trusted.push(certificate.map_err(|why| failed(&why))?);
        }
        if trusted.len() == before {
            return Err(failed(&"there is no certificate in it"));
        }
    }
    Ok(trusted)
}

fn mend(option: &str) -> String {
    format!("Name files with root certificates in PEM ({option}), such as another usher's ca.pem.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_trust_file_must_hold_certificates() {
        let file = std::env::temp_dir().join(format!("usher-trust-{}", std::process::id()));
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            let why = outgoing(std::slice::from_ref(&file), "--some-trust").err().unwrap().to_string();
            assert!(why.contains("--some-trust"), "{why}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(outgoing(&[file], "--some-trust").is_err(), "a file that is not there");
        assert!(outgoing(&[], "--some-trust").is_ok());
    }
}
