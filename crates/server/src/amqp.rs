//! The AMQP listener: reads a connection up to the event that shows whose it is, and leads it there.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tracing::{debug, warn};
use usher_amqp::{
    codec::performative::AmqpError,
    event::{Close, Event},
    limits::Limits,
    server::{Options, Session},
};
use usher_api_device::{
    amqp::{self as device_amqp, Link, MECHANISMS},
    https::Peer,
    stopped,
};
use usher_provisioning::Transport;

use crate::doors::Doors;

/// Largest message on any AMQP link, in bytes: IoT Hub's 256 KiB with its properties. The device API itself takes less.
const MESSAGE_BYTES_MAX: usize = 288 * 1024;

/// Serves one connection until it ends.
pub async fn serve<IO>(doors: Arc<Doors>, io: IO, peer: Peer, transport: Transport, mut stop: watch::Receiver<bool>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mechanisms = MECHANISMS.map(Into::into).to_vec();
    let options = Options { container_id: "usher".into(), mechanisms, limits: Limits { message_bytes: MESSAGE_BYTES_MAX, ..Limits::default() } };
    let mut link = Link::new(io, Session::new(options, 0));
    loop {
        let event = tokio::select! {
            event = link.next_event() => event,
            () = stopped(&mut stop) => return link.finish().await,
        };
        match event {
            Some(first) if device_amqp::is_ours(&first) => {
                return device_amqp::serve(&doors.engine, first, link, peer, transport, stop).await;
            }
            Some(Event::Closed(why @ (Close::ByPeer(_) | Close::Lost))) => {
                debug!(%why, "connection ended");
                return link.finish().await;
            }
            Some(Event::Closed(why)) => {
                log(&doors, &peer, transport, &why.to_string());
                return link.finish().await;
            }
            Some(Event::Open { .. }) => {}
            Some(_) => {
                log(&doors, &peer, transport, "neither a provisioning device's SASL nor its link address");
                link.machine().close(Some(AmqpError::new("amqp:not-found", "There is no such node.")));
                return link.finish().await;
            }
            None => return link.finish().await,
        }
    }
}

fn log(doors: &Doors, peer: &Peer, transport: Transport, why: &str) {
    let tracking_id = doors.engine.new_tracking_id();
    warn!(%tracking_id, transport = transport.name(), peer = %peer.address, check = "amqp.protocol", detail = why,
        mend = "Speak AMQP 1.0 as a provisioning device does: see docs/protocol/device-amqp.md.", "connection closed");
}
