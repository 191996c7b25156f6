//! What a connection passes before its TLS handshake: the word of a load balancer in front, and the limits of its address.

mod addresses;
mod proxy;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ipnetwork::IpNetwork;
use tokio::time::timeout;
use tracing::{debug, warn};
use usher_domain::{
    TrackingId,
    clock::{Clock, Entropy as _},
};

pub use addresses::{AddressLimits, Place};
use addresses::{Addresses, Refused};

use crate::{ambient::SystemEntropy, prompt::PromptStream};

/// Time for a load balancer to say whose connection it is. It says so at once, before the client's first byte.
const PROXY_MAX: Duration = Duration::from_secs(5);

/// The gate in front of all listeners of a server.
pub struct Gate {
    proxies: Vec<IpNetwork>,
    addresses: Arc<Addresses>,
    clock: Arc<dyn Clock>,
}

impl Gate {
    /// Believes load balancers in these networks, which must begin each connection with a PROXY header, and nobody else.
    pub fn new(proxies: Vec<IpNetwork>, limits: AddressLimits, clock: Arc<dyn Clock>) -> Self {
        Self { proxies, addresses: Arc::new(Addresses::new(limits)), clock }
    }

    /// A gate that lets everybody through.
    pub fn open(clock: Arc<dyn Clock>) -> Self {
        Self::new(Vec::new(), AddressLimits::NONE, clock)
    }

    /// The address of the client itself, with its place among that address's connections; `None` where the connection is to be closed,
    /// which the log tells.
    pub async fn enter(&self, stream: &mut PromptStream, peer: SocketAddr) -> Option<(SocketAddr, Place)> {
        let client = if self.is_proxy(peer) { self.told_by_proxy(stream, peer).await? } else { peer };
        match self.addresses.enter(client.ip(), self.clock.now()) {
            Ok(place) => Some((client, place)),
            Err(refused) => {
                self.tell(client, refused);
                None
            }
        }
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        self.proxies.iter().any(|network| network.contains(address))
    }

    async fn told_by_proxy(&self, stream: &mut PromptStream, peer: SocketAddr) -> Option<SocketAddr> {
        let why = match timeout(PROXY_MAX, proxy::client(stream)).await {
            // A load balancer that looks whether the node lives speaks for itself.
            Ok(Ok(client)) => return Some(client.unwrap_or(peer)),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                debug!(%peer, check = "proxy.closed", "a load balancer opened a connection and closed it");
                return None;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("none came within {} s", PROXY_MAX.as_secs()),
        };
        let mend = "Let the load balancer send the PROXY protocol (version 1 or 2), or take its address out of listen.proxies.";
        warn!(tracking_id = %tracking_id(), %peer, check = "proxy.header", detail = why, mend, "connection refused");
        None
    }

    fn tell(&self, client: SocketAddr, refused: Refused) {
        // Whoever is refused comes again at once; the log has one line for a minute of it.
        if !self.addresses.may_tell(client.ip(), self.clock.now()) {
            return;
        }
        let (check, mend) = match refused {
            Refused::Open => ("address.connections", "Let the client close connections; or raise listen.connections_per_address."),
            Refused::New => ("address.rate", "Let the client wait between connections; or raise listen.new_connections_per_address."),
        };
        warn!(tracking_id = %tracking_id(), peer = %client, check, mend, "connection refused; more of this address go untold for a minute");
    }
}

fn tracking_id() -> TrackingId {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    TrackingId::from_random(random)
}
