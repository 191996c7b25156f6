//! The AMQP listener: reads a connection up to the event that shows whose it is, and leads it there.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};
use usher_amqp::{
    codec::performative::AmqpError,
    event::{Close, Event},
    sasl::SaslCode,
    server::{Options, Session},
};
use usher_api_device::{
    amqp::{self as device_amqp, Link, MECHANISMS},
    https::Peer,
    stopped,
};
use usher_api_hub::amqp as hub_amqp;
use usher_provisioning::Transport;

use crate::{doors::Doors, https::hub_peer};

/// Mechanisms that prove nothing, for devices of a hub: they prove themselves afterwards, by `$cbs` or by their certificate. They come
/// after the device API's, since some clients take the first that they know.
const UNPROVING_MECHANISMS: [&str; 2] = ["ANONYMOUS", "EXTERNAL"];
/// Time for a client that has opened the connection to ask for its first link.
const FIRST_LINK_MAX: Duration = Duration::from_secs(60);

/// Serves one connection until it ends.
pub async fn serve<IO>(doors: Arc<Doors>, io: IO, peer: Peer, transport: Transport, mut stop: watch::Receiver<bool>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mechanisms = MECHANISMS.into_iter().chain(UNPROVING_MECHANISMS).map(Into::into).collect();
    let options = Options { container_id: "usher".into(), mechanisms, limits: hub_amqp::limits() };
    let mut link = Link::new(io, Session::new(options, 0));
    let (mut host, mut link_by) = (String::new(), None);
    loop {
        let event = tokio::select! {
            event = link.next_event() => event,
            () = sleep_until(link_by.unwrap_or_else(Instant::now)), if link_by.is_some() => {
                log(&doors, &peer, transport, "no link was asked for in time");
                link.machine().close(None);
                return link.finish().await;
            }
            () = stopped(&mut stop) => return link.finish().await,
        };
        match event {
            Some(first) if device_amqp::is_ours(&first) => {
                return device_amqp::serve(&doors.engine, first, link, peer, transport, stop).await;
            }
            Some(first) if hub_amqp::is_ours(&first) => {
                let (wire, session) = link.into_parts();
                return hub_amqp::serve(Arc::clone(&doors.hubs), &host, first, session, wire, hub_peer(&peer), stop).await;
            }
            Some(Event::SaslInit { mechanism, .. }) if UNPROVING_MECHANISMS.contains(&mechanism.as_str()) => {
                link.machine().sasl_outcome(SaslCode::Ok);
            }
            Some(Event::Closed(why @ (Close::ByPeer(_) | Close::Lost))) => {
                debug!(%why, "connection ended");
                return link.finish().await;
            }
            Some(Event::Closed(why)) => {
                log(&doors, &peer, transport, &why.to_string());
                return link.finish().await;
            }
            Some(Event::Open { hostname, .. }) => {
                let name = hostname.unwrap_or_default();
                host = name.rsplit_once(':').map_or(name.as_str(), |(name, _)| name).to_owned();
                link_by = Some(Instant::now() + FIRST_LINK_MAX);
            }
            Some(Event::SaslInit { .. }) => {
                log(&doors, &peer, transport, "a SASL user that is not {idScope}/registrations/{registrationId}");
                link.machine().sasl_outcome(SaslCode::Auth);
                return link.finish().await;
            }
            Some(_) => {
                log(&doors, &peer, transport, "the address of neither a registration nor a hub's device");
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
        mend = "Speak AMQP 1.0 as a device does: see docs/protocol/device-amqp.md and hub-device.md.", "connection closed");
}
