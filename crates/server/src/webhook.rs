//! Sets up the asking of allocation webhooks: whom to trust, and the client.

use std::{path::Path, sync::Arc};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use usher_outbound::Client;
use usher_webhook::AllocationWebhook;
use usher_webhook_http::HttpWebhook;

use crate::StartError;

/// Asks webhooks that have their certificates from the machine's roots or from a CA in the file `trust` (PEM).
pub fn webhook(trust: Option<&Path>) -> Result<Arc<dyn AllocationWebhook>, StartError> {
    let extra = trust.map(read).transpose()?.unwrap_or_default();
    let client = Client::new(&extra).map_err(|why| StartError::new(format!("allocation webhooks: {why}"), MEND))?;
    Ok(Arc::new(HttpWebhook::new(client)))
}

const MEND: &str = "Name a PEM file of CA certificates (--webhook-trust).";

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, StartError> {
    let failed = |why: &dyn std::fmt::Display| StartError::new(format!("the file {}: {why}", file.display()), MEND);
    let text = std::fs::read(file).map_err(|why| failed(&why))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|why| failed(&why))?;
    if found.is_empty() { Err(failed(&"there is no certificate in it")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_trust_file_must_hold_certificates() {
        let file = std::env::temp_dir().join(format!("usher-webhook-trust-{}", std::process::id()));
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&file, text).unwrap();
            assert!(webhook(Some(&file)).is_err(), "{text}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(webhook(Some(&file)).is_err(), "a file that is not there");
        assert!(webhook(None).is_ok());
    }
}
