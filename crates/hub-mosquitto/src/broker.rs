//! The broker as something that does jobs: connected when first needed, connected anew when lost.

use std::{sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs::default_provider};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::Instant,
};
use tokio_rustls::TlsConnector;
use usher_hub::HubError;

use crate::{
    address::Address,
    exchange::{Job, Outcome},
    link::{self, Request},
};

/// After a failed attempt to connect, all requests fail alike for this long, so that a broker that is down is not stormed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Connections on which a job is tried.
const ATTEMPTS_MAX: usize = 2;

/// A broker.
pub struct Broker {
    address: Address,
    connector: TlsConnector,
    state: Mutex<State>,
}

/// The connection.
enum State {
    /// None was needed yet.
    Idle,
    /// There is one, or was until just now.
    Open(mpsc::Sender<Request>),
    /// The last attempt failed.
    Failed { at: Instant, why: HubError },
}

impl Broker {
    /// A broker whose certificate must chain to `trust`.
    pub fn new(address: Address, trust: Arc<RootCertStore>) -> Result<Self, rustls::Error> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trust)
            .with_no_client_auth();
        Ok(Self { address, connector: TlsConnector::from(Arc::new(config)), state: Mutex::new(State::Idle) })
    }

    /// The user as whom usher speaks to it.
    pub fn user(&self) -> &str {
        &self.address.user
    }

    /// Does a job. Where the connection is cut under it, which is noticed only then if the broker restarted a moment ago, it does it
    /// again on a new one: jobs are idempotent.
    pub async fn run(&self, job: Job) -> Result<Outcome, HubError> {
        for _ in 0..ATTEMPTS_MAX {
            let (reply, outcome) = oneshot::channel();
            let sent = self.link().await?.send(Request { job: job.clone(), reply }).await.is_ok();
            if sent && let Ok(outcome) = outcome.await {
                return outcome;
            }
        }
        Err(HubError::Unavailable("the broker keeps closing the connection; its log tells why".into()))
    }

    /// Callers that come while one connects wait here for the same connection.
    async fn link(&self) -> Result<mpsc::Sender<Request>, HubError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Open(link) if !link.is_closed() => return Ok(link.clone()),
            State::Failed { at, why } if at.elapsed() < PAUSE_AFTER_FAILURE => return Err(why.clone()),
            _ => {}
        }
        match link::open(&self.address, &self.connector).await {
            Ok(link) => {
                *state = State::Open(link.clone());
                Ok(link)
            }
            Err(why) => {
                *state = State::Failed { at: Instant::now(), why: why.clone() };
                Err(why)
            }
        }
    }
}
