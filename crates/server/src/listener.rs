//! Listening sockets: bounded accepts, TLS with a time-out, and the hand-over to a protocol.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::warn;
use usher_api_device::{https::Peer, stopped};

use crate::{
    gate::{Gate, Place},
    handshake::shake_hands,
    prompt::PromptStream,
};

/// Connections that a listener holds at a time. Each costs a few tens of kilobytes.
const CONNECTIONS_MAX: usize = 50_000;
/// Pause after a failed accept, so that running out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A TLS connection with what is known of its peer.
pub struct Connection {
    /// The stream.
    pub stream: TlsStream<PromptStream>,
    /// The peer's certificates and address.
    pub peer: Peer,
    /// The name the peer asked for, if it named one.
    pub server_name: Option<String>,
}

/// What all listeners of a server have in common.
#[derive(Clone)]
pub struct Entrance {
    /// The server's side of TLS.
    pub tls: TlsAcceptor,
    /// Who gets as far as that.
    pub gate: Arc<Gate>,
}

/// Serves connections with `serve` until `stop` turns true, then waits for those that are open.
pub async fn listen<F, S>(listener: TcpListener, entrance: Entrance, stop: watch::Receiver<bool>, serve: S)
where
    S: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (serve, places) = (Arc::new(serve), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut open = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = open.join_next(), if !open.is_empty() => continue,
            () = stopped(&mut stopping) => break,
        };
        let (stream, address, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot accept a connection; is the limit of open files too low?");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (entrance, serve) = (entrance.clone(), Arc::clone(&serve));
        open.spawn(async move {
            let _place = place;
            if let Some((connection, _of_address)) = handshake(&entrance, stream, address).await {
                serve(connection).await;
            }
        });
    }
    while open.join_next().await.is_some() {}
}

type Accepted = (PromptStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((PromptStream::new(stream)?, address, place))
}

async fn handshake(entrance: &Entrance, mut stream: PromptStream, address: SocketAddr) -> Option<(Connection, Place)> {
    let (address, place) = entrance.gate.enter(&mut stream, address).await?;
    let stream = shake_hands(&entrance.tls, stream, address).await?;
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
    let server_name = session.server_name().map(str::to_owned);
    let peer = Peer { certificates, address };
    Some((Connection { stream, peer, server_name }, place))
}
