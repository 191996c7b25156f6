//! WebSocket as a byte stream, for MQTT and AMQP inside it.
//!
//! Packets and frames are not aligned to WebSocket messages in either direction, so all that matters is the order of bytes in
//! binary messages. Which protocol runs inside is told by the subprotocol, never by the path: SDKs use four different paths
//! (docs/protocol/device-mqtt.md).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use http::{HeaderMap, Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

/// Largest message taken, in bytes: IoT Hub's largest message (256 KiB) with its framing.
const MESSAGE_BYTES_MAX: usize = 300 * 1024;

/// What is to run inside a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// `mqtt`.
    Mqtt,
    /// `AMQPWSB10`.
    Amqp,
}

/// Whether a request asks for a WebSocket.
pub fn is_upgrade<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers an upgrade request: the subprotocol to run and the response to send, or why it is refused.
///
/// The offered spelling is echoed: the C SDK writes `MQTT` (azure-iot-sdk-c: prov_transport_mqtt_ws_client.c).
pub fn negotiate(headers: &HeaderMap) -> Result<(Subprotocol, Response<Bytes>), &'static str> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text(header::SEC_WEBSOCKET_KEY).ok_or("Sec-WebSocket-Key is missing.")?;
    if text(header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err("Only WebSocket version 13 is supported.");
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let (protocol, spelling) = offered
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .find_map(|name| recognise(name).map(|protocol| (protocol, name)))
        .ok_or("The WebSocket subprotocol must be mqtt or AMQPWSB10.")?;
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .header(header::SEC_WEBSOCKET_PROTOCOL, spelling)
        .body(Bytes::new())
        .map(|response| (protocol, response))
        .map_err(|_| "The WebSocket headers are malformed.")
}

fn recognise(name: &str) -> Option<Subprotocol> {
    match name {
        name if name.eq_ignore_ascii_case("mqtt") => Some(Subprotocol::Mqtt),
        name if name.eq_ignore_ascii_case("AMQPWSB10") => Some(Subprotocol::Amqp),
        _ => None,
    }
}

/// A WebSocket, read and written as bytes.
pub struct ByteStream<S> {
    socket: WebSocketStream<S>,
    unread: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    /// The server's side of an upgraded connection.
    pub async fn server(io: S) -> Self {
        Self { socket: WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await, unread: Bytes::new() }
    }

    /// The client's side: asks `host` for a WebSocket with this subprotocol on the path that the C, Python and Node SDKs use.
    pub async fn client(io: S, host: &str, subprotocol: &str) -> io::Result<Self> {
        let mut request = format!("wss://{host}/$iothub/websocket").into_client_request().map_err(to_io)?;
        let subprotocol = subprotocol.parse().map_err(|_| invalid("subprotocol"))?;
        request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let (socket, _) = client_async_with_config(request, io, Some(config())).await.map_err(to_io)?;
        Ok(Self { socket, unread: Bytes::new() })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(invalid("text message"))),
                Some(Ok(_)) => {}
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(to_io(error))),
            }
        }
        let n = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(to_io)?;
        let n = bytes.len().min(MESSAGE_BYTES_MAX);
        let message = Message::Binary(Bytes::copy_from_slice(bytes.get(..n).unwrap_or_default()));
        Pin::new(&mut self.socket).start_send(message).map_err(to_io)?;
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(to_io)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(to_io(error))),
        }
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .max_write_buffer_size(2 * MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .read_buffer_size(4 * 1024)
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn offer(protocol: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==".parse().unwrap());
        headers.insert(header::SEC_WEBSOCKET_VERSION, "13".parse().unwrap());
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
        headers
    }

    #[test]
    fn the_subprotocol_is_echoed_as_it_was_spelled() {
        let (protocol, response) = negotiate(&offer("MQTT")).unwrap();
        assert_eq!(protocol, Subprotocol::Mqtt);
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "MQTT");
        // RFC 6455 section 1.3 gives this pair.
        assert_eq!(response.headers()[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(negotiate(&offer("foo, AMQPWSB10")).unwrap().0, Subprotocol::Amqp);
    }

    #[test]
    fn other_subprotocols_and_a_missing_key_are_refused() {
        assert!(negotiate(&offer("chat")).unwrap_err().contains("subprotocol"));
        let mut headers = offer("mqtt");
        headers.remove(header::SEC_WEBSOCKET_KEY);
        assert!(negotiate(&headers).unwrap_err().contains("Key"));
    }
}
