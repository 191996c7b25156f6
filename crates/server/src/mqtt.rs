//! The MQTT listener: reads a connection's CONNECT and leads it to the device API or to an embedded hub, by its user name.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tracing::warn;
use usher_api_device::{
    https::Peer,
    mqtt::{self as device_mqtt, Link, UserName},
    stopped,
};
use usher_mqtt::server::{Event, Limits, Session};
use usher_provisioning::Transport;

use crate::{doors::Doors, https::hub_peer};

/// Serves one connection until it ends.
pub async fn serve<IO>(doors: Arc<Doors>, io: IO, peer: Peer, transport: Transport, mut stop: watch::Receiver<bool>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut link = Link::new(io, Session::new(Limits::default(), 0));
    let first = tokio::select! {
        first = link.next_event() => first,
        () = stopped(&mut stop) => return link.finish().await,
    };
    match first {
        Some(Event::Connect(connect)) if UserName::parse(connect.user_name.as_deref().unwrap_or_default()).is_some() => {
            device_mqtt::serve(&doors.engine, &connect, link, peer, transport, stop).await;
        }
        Some(Event::Connect(connect)) => {
            let (wire, session) = link.into_parts();
            usher_api_hub::serve(Arc::clone(&doors.hubs), *connect, session, wire, hub_peer(&peer), stop).await;
        }
        Some(Event::Closed(why)) => {
            let tracking_id = doors.engine.new_tracking_id();
            warn!(%tracking_id, transport = transport.name(), peer = %peer.address, check = "mqtt.protocol", detail = %why,
                mend = "Speak MQTT 3.1.1 on this port.", "connection closed");
            link.finish().await;
        }
        _ => link.finish().await,
    }
}
