//! What can go wrong with a request, told apart by what there is to do. Neither the URL's path and query nor headers are ever shown:
//! function keys and tokens stand there.

use std::{error::Error, fmt, time::Duration};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundError {
    /// The URL must not be asked. Nothing was sent.
    Refused(&'static str),
    /// A root certificate that was given is none. Only from [`Client::new`](crate::Client::new).
    Trust(String),
    /// The server was not reached: name, route, port or TLS version. Nothing was sent.
    CannotConnect {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        why: String,
    },
    /// The server's certificate does not prove it to be the one that was meant. Nothing was sent.
    Untrusted {
        /// Scheme, host and port.
        server: String,
        /// What is wrong with the certificate.
        why: String,
    },
    /// No whole answer in time. The server may have done what was asked.
    TimedOut {
        /// Scheme, host and port.
        server: String,
        /// What was allowed.
        within: Duration,
    },
    /// The answer's body is too large. The server may have done what was asked.
    TooLarge {
        /// Scheme, host and port.
        server: String,
        /// What was allowed, in bytes.
        body_bytes_max: usize,
    },
    /// The connection broke, or what came was not HTTP. The server may have done what was asked.
    Broken {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        why: String,
    },
}

impl fmt::Display for OutboundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "the URL is refused: {why}"),
            Self::Trust(why) => write!(f, "a root certificate cannot be used: {why}"),
            Self::CannotConnect { server, why } => write!(f, "cannot connect to {server}: {why}"),
            Self::Untrusted { server, why } => write!(
                f,
                "the certificate of {server} is not trusted: {why}. If it is issued by a CA of your own, add that CA to the trusted roots"
            ),
            Self::TimedOut { server, within } => write!(f, "{server} gave no whole answer within {} ms", within.as_millis()),
            Self::TooLarge { server, body_bytes_max } => {
                write!(f, "the answer of {server} is larger than the allowed {body_bytes_max} bytes")
            }
            Self::Broken { server, why } => write!(f, "the exchange with {server} broke off: {why}"),
        }
    }
}

impl Error for OutboundError {}

/// Sorts a failure of the pooled client.
pub fn classify(server: &str, error: &hyper_util::client::legacy::Error) -> OutboundError {
    let (server, why) = (server.to_owned(), chain(error));
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(_)) => OutboundError::Untrusted { server, why },
        Some(_) => OutboundError::CannotConnect { server, why },
        None if error.is_connect() => OutboundError::CannotConnect { server, why },
        None => OutboundError::Broken { server, why },
    }
}

/// The TLS failure below an error, wherever it hides: connectors wrap it in I/O errors, which hide it from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// An error and what caused it, in one line. Their texts name hosts and states, never what was sent.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
