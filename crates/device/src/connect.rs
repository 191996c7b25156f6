//! TCP and TLS to the device endpoint, told step by step.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use usher_websocket::ByteStream;

use crate::{Failure, Profile, trace::Trace};

/// Time for a connection, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(15);

/// Connects to `host` and proves the device's certificate, where it has one.
pub async fn connect(profile: &Profile, host: &str, port: u16, trace: &Trace<'_>) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::settings(format!("{host} is not a host name")))?;
    let connector = TlsConnector::from(profile.tls()?);
    let work = async {
        let stream = TcpStream::connect((host, port)).await.map_err(|why| Failure::network("connect", &why))?;
        stream.set_nodelay(true).map_err(|why| Failure::network("connect", &why))?;
        trace.step(format!("connected to {host}:{port}"));
        connector.connect(name, stream).await.map_err(|why| Failure::network("TLS", &why))
    };
    let stream = timeout(CONNECT_MAX, work)
        .await
        .map_err(|_| Failure::new("connect", format!("{host}:{port} did not answer in time"), "Is the host reachable from here?"))??;
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    let shown = if matches!(profile.credential, crate::Credential::Certificate { .. }) { ", client certificate offered" } else { "" };
    trace.step(format!("{version} established, server certificate trusted{shown}"));
    Ok(stream)
}

/// TLS, with or without a WebSocket in it.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Stream for IO {}

/// Connects to the port of `host` that is its protocol's own, or without one through a WebSocket on the port of HTTPS.
pub async fn stream(
    profile: &Profile,
    host: &str,
    own_port: Option<u16>,
    subprotocol: &str,
    trace: &Trace<'_>,
) -> Result<Box<dyn Stream>, Failure> {
    if let Some(port) = own_port {
        return Ok(Box::new(connect(profile, host, port, trace).await?));
    }
    let port = profile.ports.https;
    let stream = connect(profile, host, port, trace).await?;
    Ok(Box::new(websocket(stream, host, port, subprotocol, trace).await?))
}

/// Asks for a WebSocket on a TLS stream.
async fn websocket(
    stream: TlsStream<TcpStream>,
    host: &str,
    port: u16,
    subprotocol: &str,
    trace: &Trace<'_>,
) -> Result<ByteStream<TlsStream<TcpStream>>, Failure> {
    let socket = timeout(CONNECT_MAX, ByteStream::client(stream, &format!("{host}:{port}"), subprotocol))
        .await
        .map_err(|_| Failure::new("WebSocket", "the server did not answer in time", "Does this port speak HTTPS?"))?
        .map_err(|why| Failure::network("WebSocket", &why))?;
    trace.step(format!("WebSocket open, subprotocol {subprotocol}"));
    Ok(socket)
}
