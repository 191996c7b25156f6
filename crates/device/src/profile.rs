//! Who a device is and where it goes: everything it was given in the factory.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{Failure, Tpm};

/// A device's factory settings.
#[derive(Clone)]
pub struct Profile {
    /// The device endpoint's host name.
    pub host: String,
    /// Its ports.
    pub ports: Ports,
    /// The ID scope.
    pub id_scope: String,
    /// Who the device says it is.
    pub registration_id: String,
    /// How it proves that.
    pub credential: Credential,
    /// A PKCS#10 request to send along, DER in base64, for a device that wants a certificate.
    pub signing_request: Option<String>,
    /// The roots it trusts.
    pub trust: Arc<RootCertStore>,
}

/// The endpoint's ports.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// HTTPS and WebSockets.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtts: u16,
    /// AMQP over TLS.
    pub amqps: u16,
}

/// What a device proves itself with.
#[derive(Clone)]
pub enum Credential {
    /// The device's own symmetric key.
    SymmetricKey(Vec<u8>),
    /// A certificate chain, leaf first, and the leaf's key.
    Certificate {
        /// DER.
        chain: Vec<CertificateDer<'static>>,
        /// The private key.
        key: Arc<PrivateKeyDer<'static>>,
    },
    /// A TPM 2.0.
    Tpm(Arc<Tpm>),
}

impl Credential {
    /// The name in tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SymmetricKey(_) => "symmetric key",
            Self::Certificate { .. } => "X.509",
            Self::Tpm(_) => "TPM 2.0",
        }
    }

    /// Reads a certificate chain and its key from PEM text.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, Failure> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|why| Failure::settings(format!("the certificate file is not PEM: {why}")))?;
        if chain.is_empty() {
            return Err(Failure::settings("the certificate file holds no certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|why| Failure::settings(format!("the key file is not PEM: {why}")))?;
        Ok(Self::Certificate { chain, key: Arc::new(key) })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Reads trusted roots from a PEM file.
pub fn trust_from_file(path: &Path) -> Result<Arc<RootCertStore>, Failure> {
    let pem = std::fs::read(path).map_err(|why| Failure::settings(format!("cannot read {}: {why}", path.display())))?;
    trust_from_pem(&pem)
}

/// Reads trusted roots from PEM text.
pub fn trust_from_pem(pem: &[u8]) -> Result<Arc<RootCertStore>, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|why| Failure::settings(format!("the trust file is not PEM: {why}")))?;
        roots.add(certificate).map_err(|why| Failure::settings(format!("a trusted root is unusable: {why}")))?;
    }
    if roots.is_empty() {
        return Err(Failure::settings("the trust file holds no certificate"));
    }
    Ok(Arc::new(roots))
}

impl Profile {
    /// The TLS settings: the roots to trust, and the client certificate where the device has one.
    pub fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|why| Failure::settings(why.to_string()))?
            .with_root_certificates(Arc::clone(&self.trust));
        let config = match &self.credential {
            Credential::SymmetricKey(_) | Credential::Tpm(_) => builder.with_no_client_auth(),
            Credential::Certificate { chain, key } => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|why| Failure::settings(format!("the certificate and key do not fit together: {why}")))?,
        };
        Ok(Arc::new(config))
    }

    /// The resource that the device's SAS tokens name.
    pub fn resource(&self) -> String {
        format!("{}/registrations/{}", self.id_scope, self.registration_id)
    }
}
