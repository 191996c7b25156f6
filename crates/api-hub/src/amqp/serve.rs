//! Drives one device's connection: bytes, hub, clock.

use std::{future::pending, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::Instant,
};
use usher_amqp::{
    codec::performative::AmqpError,
    event::{Close, Event},
    server::Session,
};
use usher_domain::{DeviceId, HubName, TrackingId};
use usher_hub_embedded::{
    EmbeddedHubs,
    live::{Closing, Connection, Event as HubEvent},
};
use usher_wire::Wire;

use super::conversation::{Conversation, Ended};
use crate::{access::Refusal, ending, mqtt::PeerEvidence};

/// How long a client may stay without proving a device.
const UNPROVEN_MAX: Duration = Duration::from_secs(60);

type Why = ending::Why<Close, Ended>;

/// Serves a device until it leaves, is no longer allowed, or the server stops. `hub_name` is the host of the client's open, without a
/// port; `first` is the first link that it asked for and nobody has answered.
pub async fn serve<IO>(
    hubs: Arc<EmbeddedHubs>,
    hub_name: &str,
    first: Event,
    mut session: Session,
    mut wire: Wire<IO>,
    peer: PeerEvidence,
    shutdown: watch::Receiver<bool>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Some(hub) = HubName::parse(hub_name).ok().and_then(|name| hubs.get(&name)) else {
        let tracking_id = TrackingId::from_random(hubs.random());
        let host: String = hub_name.chars().take(200).collect();
        tracing::warn!(tracking_id = %tracking_id, peer = %peer.addr, host, check = "Hub", detail = "there is no hub of this name", "a device was refused");
        session.close(Some(AmqpError::new("amqp:not-found", format!("Hub. Tracking ID: {}", tracking_id.as_str()))));
        return wire.finish(&mut session).await;
    };
    let conversation = Conversation::new(Arc::clone(&hub), hub_name, session, peer);
    let prove_by = Instant::now() + UNPROVEN_MAX;
    let mut driver = Driver { conversation, wire, prove_by };
    let why = driver.run(first, shutdown).await;
    let device = driver.end(&why).await;
    if let Some(device) = device {
        tracing::info!(hub = %hub.name(), device = %device, %why, "a device disconnected");
        hub.note_activity(&device, hub.now(), None).await;
    } else {
        tracing::debug!(hub = %hub.name(), %why, "a connection ended that had proved no device");
    }
}

/// What the device is told, and under which check the log has it; `None` where nothing went wrong.
fn error_of(why: &Why) -> Option<(&'static str, &'static str)> {
    match why {
        Why::Session(Close::ByPeer(_) | Close::ByDriver | Close::Lost) => None,
        // The session has told the device itself; what is said after that goes nowhere.
        Why::Session(_) => Some(("amqp:not-allowed", "Protocol")),
        Why::Hub(Closing::Superseded) => Some(("amqp:connection:forced", "Superseded")),
        Why::Hub(Closing::NoLongerAllowed) => Some(("amqp:unauthorized-access", "DeviceChanged")),
        // Of the conditions that end a connection Node comes back after this one alone (azure-iot-sdk-node: amqp_common_errors.ts).
        Why::Hub(Closing::TooSlow) | Why::Unread => Some(("amqp:link:detach-forced", "Unread")),
        Why::Shutdown => Some(("amqp:link:detach-forced", "Shutdown")),
        Why::Ended(ended) => Some(("amqp:not-allowed", ended.check)),
        Why::TokenExpired => Some(("amqp:unauthorized-access", "TokenExpiry")),
        Why::Unproven => Some(("amqp:unauthorized-access", "CredentialMissing")),
    }
}

struct Driver<IO> {
    conversation: Conversation,
    wire: Wire<IO>,
    prove_by: Instant,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Driver<IO> {
    async fn run(&mut self, first: Event, mut shutdown: watch::Receiver<bool>) -> Why {
        if let Err(ended) = self.conversation.take(first).await {
            return Why::Ended(ended);
        }
        loop {
            if let Err(why) = self.work().await {
                return why;
            }
            let due = self.due();
            let outcome = tokio::select! {
                turned = self.wire.turn(&mut self.conversation.session) => ending::turned(turned, &mut self.conversation.session),
                event = next_of(self.conversation.connection.as_mut()) => self.hear(event),
                () = tokio::time::sleep_until(due) => self.check_clock(),
                _ = shutdown.wait_for(|stop| *stop) => Err(Why::Shutdown),
            };
            if let Err(why) = outcome {
                return why;
            }
        }
    }

    fn hear(&mut self, event: HubEvent) -> Result<(), Why> {
        match event {
            HubEvent::Notice(notice) => self.conversation.tell(notice).map_err(Why::Ended)?,
            HubEvent::Mail => self.conversation.mail(),
            HubEvent::Close(why) => return Err(Why::Hub(why)),
        }
        Ok(())
    }

    /// Acts on everything that the session has told, then sends mail.
    async fn work(&mut self) -> Result<(), Why> {
        while let Some(event) = self.conversation.session.poll_event() {
            match event {
                Event::Closed(close) => return Err(Why::Session(close)),
                event => self.conversation.take(event).await.map_err(Why::Ended)?,
            }
        }
        self.conversation.send_mail().await.map_err(Why::Ended)
    }

    /// When the clock must be looked at next.
    fn due(&self) -> Instant {
        let expiry = ending::expiry(self.conversation.until, self.conversation.hub.now());
        if self.conversation.connection.is_none() { expiry.min(self.prove_by) } else { expiry }
    }

    fn check_clock(&self) -> Result<(), Why> {
        if self.conversation.until.is_some_and(|until| until <= self.conversation.hub.now()) {
            return Err(Why::TokenExpired);
        }
        if self.conversation.connection.is_none() && self.prove_by <= Instant::now() {
            return Err(Why::Unproven);
        }
        Ok(())
    }

    /// Tells the device why, as far as it listens; gives the device that was connected.
    async fn end(&mut self, why: &Why) -> Option<DeviceId> {
        let error = error_of(why).map(|(condition, check)| {
            let tracking_id = self.conversation.log_refusal("a connection was closed", &Refusal::new(check, why.to_string()));
            AmqpError::new(condition, format!("{check}. Tracking ID: {}", tracking_id.as_str()))
        });
        self.conversation.session.close(error);
        // Gone for the hub before the farewell, which may take its time.
        let device = self.conversation.connection.take().map(|connection| connection.device_id().clone());
        // What is still unsent may be lost; closing must not wait for a device that does not read.
        if matches!(why, Why::Unread | Why::Hub(Closing::TooSlow)) {
            self.wire.hang_up().await;
        } else {
            self.wire.finish(&mut self.conversation.session).await;
        }
        device
    }
}

/// What the hub has for the device; nothing as long as none is proven.
async fn next_of(connection: Option<&mut Connection>) -> HubEvent {
    match connection {
        Some(connection) => connection.next().await,
        None => pending().await,
    }
}
