//! TLS of the device endpoint: client certificates are asked for, never required, and proven, not judged.
//!
//! A device with a self-signed certificate, or one of a CA unknown here, must get through the handshake: whether it is admitted is
//! decided by attestation, which knows the enrollments. The handshake establishes one thing only, that the peer holds the
//! certificate's private key (RFC 8446 section 4.4.3, RFC 5246 section 7.4.8).

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{
    asn1_rs::{Any, FromDer as _},
    certificate::X509Certificate,
};

/// Builds the server's TLS configuration: TLS 1.2 and 1.3, since the Python SDK speaks 1.2 only (azure-iot-sdk-python:
/// azure-iot-device/azure/iot/device/common/mqtt_transport.py).
pub fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(ProvenNotJudged::new(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    // Devices connect once in a long while: a resumed session saves them nothing, and tickets cost work and memory here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = Vec::new();
    Ok(Arc::new(config))
}

/// Accepts any client certificate whose private key the peer proves to hold.
#[derive(Debug)]
struct ProvenNotJudged {
    algorithms: WebPkiSupportedAlgorithms,
    /// Empty: an empty list in the request lets clients offer self-signed certificates too.
    authorities: Vec<DistinguishedName>,
}

impl ProvenNotJudged {
    fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, authorities: Vec::new() }
    }

    /// Verifies a handshake signature under the certificate's key.
    ///
    /// Not by the usual webpki path: that refuses version 1 certificates, which devices in the field have
    /// (`openssl x509 -req` made them by default for years) and which attestation by thumbprint admits.
    fn verify(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::InvalidCertificate(rustls::CertificateError::BadSignature);
        let (_, certificate) = X509Certificate::from_der(cert).map_err(|_| bad_encoding())?;
        let algorithm_id = algorithm_identifier(certificate.public_key().raw).ok_or_else(bad_encoding)?;
        let key = certificate.public_key().subject_public_key.data.as_ref();
        let (_, candidates) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == dss.scheme)
            .ok_or(Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon))?;
        candidates
            .iter()
            .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == algorithm_id)
            .find_map(|algorithm| algorithm.verify_signature(key, message, dss.signature()).ok())
            .map(|()| HandshakeSignatureValid::assertion())
            .ok_or_else(bad)
    }
}

impl ClientCertVerifier for ProvenNotJudged {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(&self, leaf: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        X509Certificate::from_der(leaf).map(|_| ClientCertVerified::assertion()).map_err(|_| bad_encoding())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // RFC 8446 section 4.2.3: PKCS #1 v1.5 is for certificates only, never for a TLS 1.3 handshake.
        use SignatureScheme::{RSA_PKCS1_SHA1, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512};
        if matches!(dss.scheme, RSA_PKCS1_SHA1 | RSA_PKCS1_SHA256 | RSA_PKCS1_SHA384 | RSA_PKCS1_SHA512) {
            return Err(Error::PeerIncompatible(PeerIncompatible::NoSignatureSchemesInCommon));
        }
        self.verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn bad_encoding() -> Error {
    Error::InvalidCertificate(rustls::CertificateError::BadEncoding)
}

/// The contents of the AlgorithmIdentifier in a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), as rustls compares it.
fn algorithm_identifier(spki: &[u8]) -> Option<&[u8]> {
    let (_, outer) = Any::from_der(spki).ok()?;
    let (_, algorithm) = Any::from_der(outer.data).ok()?;
    Some(algorithm.data)
}
