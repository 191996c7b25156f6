//! The TLS handshake with a limit on its time, and what a failed one is told to be in the log: the device itself sees no more than an
//! alert, or a connection that closes.

use std::{io, net::SocketAddr, time::Duration};

use rustls::{AlertDescription, CertificateError, Error};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, warn};
use usher_domain::{TrackingId, clock::Entropy as _};

use crate::{ambient::SystemEntropy, prompt::PromptStream};

/// Time for a TLS handshake. Slow radio links need seconds; silent peers get no more.
const HANDSHAKE_MAX: Duration = Duration::from_secs(20);

/// A failed check of the handshake, for the log.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    check: &'static str,
    mend: &'static str,
}

/// The stream with its handshake done, or `None` where it failed, which is logged under a tracking ID of its own.
pub async fn shake_hands(tls: &TlsAcceptor, stream: PromptStream, address: SocketAddr) -> Option<TlsStream<PromptStream>> {
    let error = match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    let tracking_id = TrackingId::from_random(random);
    match failure(&error) {
        Some(Failure { check, mend }) => warn!(%tracking_id, peer = %address, check, detail = %error, mend, "TLS handshake failed"),
        // Load balancers and port scanners open and close all day; that is nobody's fault and nothing to mend.
        None => debug!(%tracking_id, peer = %address, check = "tls.closed", detail = %error, "closed before the TLS handshake was done"),
    }
    None
}

/// What failed, as far as the error tells; `None` where the peer just went away.
fn failure(error: &io::Error) -> Option<Failure> {
    if error.kind() == io::ErrorKind::TimedOut {
        return Some(Failure { check: "tls.timeout", mend: "Let the device finish its handshake within 20 s; is its network up to that?" });
    }
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>())?;
    let (check, mend) = match tls {
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            ("tls.keyNotProven", "Give the device the private key that belongs to its certificate.")
        }
        Error::InvalidCertificate(_) => ("tls.certificate", "Give the device a well-formed X.509 certificate, its leaf first."),
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired,
        ) => ("tls.serverNotTrusted", "Let the device trust the root of this server's certificate, and connect by a name that is in it."),
        Error::PeerIncompatible(_) => ("tls.parameters", "Let the device offer TLS 1.2 or 1.3 with ECDHE, and sign with ECDSA or RSA."),
        Error::InvalidMessage(_) => ("tls.notTls", "Speak TLS on this port."),
        _ => ("tls.handshake", "See what the device's TLS library says of it."),
    };
    Some(Failure { check, mend })
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    fn check_of(error: Error) -> Option<&'static str> {
        failure(&io::Error::new(io::ErrorKind::InvalidData, error)).map(|failure| failure.check)
    }

    #[test]
    fn each_cause_is_told_apart() {
        assert_eq!(check_of(Error::InvalidCertificate(CertificateError::BadSignature)), Some("tls.keyNotProven"));
        assert_eq!(check_of(Error::InvalidCertificate(CertificateError::BadEncoding)), Some("tls.certificate"));
        assert_eq!(check_of(Error::AlertReceived(AlertDescription::UnknownCA)), Some("tls.serverNotTrusted"));
        assert_eq!(check_of(Error::InvalidMessage(InvalidMessage::InvalidContentType)), Some("tls.notTls"));
        assert_eq!(check_of(Error::DecryptError), Some("tls.handshake"));
    }

    #[test]
    fn a_peer_that_goes_away_is_no_failure_and_a_silent_one_is() {
        assert_eq!(failure(&io::ErrorKind::UnexpectedEof.into()), None);
        assert_eq!(failure(&io::ErrorKind::TimedOut.into()).map(|failure| failure.check), Some("tls.timeout"));
    }
}
