//! Whom usher trusts as a server.

use rustls::{RootCertStore, pki_types::CertificateDer};

use crate::OutboundError;

/// The machine's roots and the extra ones. Unreadable roots of the machine are left out, as every client on it does.
pub fn gather(extra: &[CertificateDer<'static>]) -> Result<RootCertStore, OutboundError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra {
        roots.add(certificate.clone()).map_err(|why| OutboundError::Trust(why.to_string()))?;
    }
    Ok(roots)
}
