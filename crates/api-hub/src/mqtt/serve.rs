//! Drives one device's connection: bytes, hub, clock.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use usher_domain::{Timestamp, TrackingId};
use usher_hub_embedded::{EmbeddedHubs, live};
use usher_mqtt::{
    packet::{Connect, Will},
    server::{Close, Event, Session},
};
use usher_wire::Wire;

use super::{
    PeerEvidence,
    admit::{Admitted, NotAdmitted, admit},
    conversation::{Conversation, Ended},
};
use crate::ending;

type Why = ending::Why<Close, Ended>;

/// Serves a device until it leaves, is no longer allowed, or the server stops. `session` has told `connect` and awaits a verdict.
pub async fn serve<IO>(
    hubs: Arc<EmbeddedHubs>,
    connect: Connect,
    mut session: Session,
    mut wire: Wire<IO>,
    peer: PeerEvidence,
    shutdown: watch::Receiver<bool>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let admitted = match admit(&hubs, &connect, &peer).await {
        Ok(admitted) => admitted,
        Err(NotAdmitted { code, refusal }) => {
            let tracking_id = TrackingId::from_random(hubs.random());
            let user_name: String = connect.user_name.as_deref().unwrap_or_default().chars().take(200).collect();
            tracing::warn!(
                tracking_id = %tracking_id, peer = %peer.addr, user_name, check = refusal.check, detail = refusal.detail,
                "a device was refused"
            );
            session.refuse(code);
            return wire.finish(&mut session).await;
        }
    };
    let Admitted { hub, user, connection, until } = admitted;
    let (name, device) = (hub.name().clone(), user.device_id.clone());
    tracing::info!(hub = %name, device = %device, peer = %peer.addr, client = user.client_type.as_deref().unwrap_or("?"), "a device connected");
    if user.model_id.is_some() {
        hub.note_activity(&device, hub.now(), user.model_id.as_deref()).await;
    }
    let conversation = match Conversation::begin(Arc::clone(&hub), connection, session, connect.clean_session).await {
        Ok(conversation) => conversation,
        Err(fault) => {
            tracing::warn!(hub = %name, device = %device, %fault, "a device's session could not be restored");
            return;
        }
    };
    let mut driver = Driver { conversation, wire, until };
    let why = driver.run(shutdown).await;
    driver.end(connect.will.as_ref(), &why).await;
    tracing::info!(hub = %name, device = %device, %why, "a device disconnected");
    hub.note_activity(&device, hub.now(), None).await;
}

struct Driver<IO> {
    conversation: Conversation,
    wire: Wire<IO>,
    until: Option<Timestamp>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Driver<IO> {
    async fn run(&mut self, mut shutdown: watch::Receiver<bool>) -> Why {
        loop {
            if let Err(why) = self.work().await {
                return why;
            }
            let due = ending::expiry(self.until, self.conversation.hub.now());
            let outcome = tokio::select! {
                turned = self.wire.turn(&mut self.conversation.session) => ending::turned(turned, &mut self.conversation.session),
                event = self.conversation.connection.next() => self.hear(event),
                () = tokio::time::sleep_until(due) => self.check_clock(),
                _ = shutdown.wait_for(|stop| *stop) => Err(Why::Shutdown),
            };
            if let Err(why) = outcome {
                return why;
            }
        }
    }

    fn hear(&mut self, event: live::Event) -> Result<(), Why> {
        match event {
            live::Event::Notice(notice) => self.conversation.tell(notice).map_err(Why::Ended)?,
            live::Event::Mail => self.conversation.mail(),
            live::Event::Close(why) => return Err(Why::Hub(why)),
        }
        Ok(())
    }

    /// Acts on everything that the session has told, then sends mail.
    async fn work(&mut self) -> Result<(), Why> {
        while let Some(event) = self.conversation.session.poll_event() {
            let done = match event {
                Event::Publish(publish) => self.conversation.take(&publish).await,
                Event::Subscribe { packet_id, filters } => self.conversation.subscribe(packet_id, &filters).await,
                Event::Unsubscribe { filters } => self.conversation.unsubscribe(&filters).await,
                Event::Delivered { packet_id } => self.conversation.delivered(packet_id).await,
                Event::Connect(_) => Ok(()),
                Event::Closed(close) => return Err(Why::Session(close)),
            };
            done.map_err(Why::Ended)?;
        }
        self.conversation.send_mail().await.map_err(Why::Ended)
    }

    fn check_clock(&self) -> Result<(), Why> {
        if self.until.is_some_and(|until| until <= self.conversation.hub.now()) {
            return Err(Why::TokenExpired);
        }
        Ok(())
    }

    /// Ends the session; a device that did not say goodbye has its will published, unless it merely connected anew.
    async fn end(&mut self, will: Option<&Will>, why: &Why) {
        self.conversation.session.close();
        let clean = matches!(why, Why::Session(close) if close.is_clean());
        if let Some(will) = will.filter(|_| !clean) {
            self.conversation.publish_will(will);
        }
        // What is still unsent may be lost; closing must not wait for a device that does not read.
        if matches!(why, Why::Shutdown | Why::Session(_)) {
            self.wire.finish(&mut self.conversation.session).await;
        } else {
            self.wire.hang_up().await;
        }
    }
}
