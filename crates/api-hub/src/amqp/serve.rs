//! Drives one device's connection: bytes, hub, clock.

use std::{future::pending, sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::watch,
    time::Instant,
};
use usher_amqp::{
    codec::performative::AmqpError,
    event::{Close, Event},
    server::Session,
};
use usher_domain::{HubName, TrackingId};
use usher_hub_embedded::{
    EmbeddedHubs,
    live::{Closing, Connection, Event as HubEvent},
};

use super::conversation::{Conversation, Ended};
use crate::{access::Refusal, mqtt::PeerEvidence};

/// Read from a device at once.
const READ_BYTES: usize = 8 * 1024;
/// How long a device may leave what it is sent unread, and how long a farewell may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may stay without proving a device.
const UNPROVEN_MAX: Duration = Duration::from_secs(60);
/// A timer for what never comes due.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves a device until it leaves, is no longer allowed, or the server stops. `hub_name` is the host of the client's open, without a
/// port; `first` is the first link that it asked for and nobody has answered; `origin` is the zero of the clock in milliseconds that
/// `session` was made with.
#[expect(clippy::too_many_arguments, reason = "a connection's whole state changes hands here, once")]
pub async fn serve<IO>(
    hubs: Arc<EmbeddedHubs>,
    hub_name: &str,
    first: Event,
    mut session: Session,
    io: IO,
    peer: PeerEvidence,
    origin: Instant,
    shutdown: watch::Receiver<bool>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (reader, writer) = tokio::io::split(io);
    let Some(hub) = HubName::parse(hub_name).ok().and_then(|name| hubs.get(&name)) else {
        let tracking_id = TrackingId::from_random(hubs.random());
        let host: String = hub_name.chars().take(200).collect();
        tracing::warn!(tracking_id = %tracking_id, peer = %peer.addr, host, check = "Hub", detail = "there is no hub of this name", "a device was refused");
        session.close(Some(AmqpError::new("amqp:not-found", format!("Hub. Tracking ID: {}", tracking_id.as_str()))));
        return farewell(session, writer).await;
    };
    let conversation = Conversation::new(Arc::clone(&hub), hub_name, session, peer);
    let prove_by = Instant::now() + UNPROVEN_MAX;
    let mut driver = Driver { conversation, reader, writer, unsent: Bytes::new(), unsent_since: None, origin, prove_by };
    let why = driver.run(first, shutdown).await;
    let device = driver.end(&why).await;
    if let Some(device) = device {
        tracing::info!(hub = %hub.name(), device = %device, %why, "a device disconnected");
        hub.note_activity(&device, hub.now(), None).await;
    } else {
        tracing::debug!(hub = %hub.name(), %why, "a connection ended that had proved no device");
    }
}

/// Why a connection ended.
enum Why {
    Session(Close),
    Hub(Closing),
    Ended(Ended),
    TokenExpired,
    Unproven,
    Unread,
    Shutdown,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session(close) => close.fmt(f),
            Self::Hub(closing) => closing.fmt(f),
            Self::Ended(ended) => f.write_str(&ended.why),
            Self::TokenExpired => f.write_str("the device's SAS token expired"),
            Self::Unproven => f.write_str("the client proved no device in time"),
            Self::Unread => f.write_str("the device does not read what it is sent"),
            Self::Shutdown => f.write_str("the server stops"),
        }
    }
}

impl Why {
    /// What the device is told, and under which check the log has it; `None` where nothing went wrong.
    fn to_error(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Session(Close::ByPeer(_) | Close::ByDriver | Close::Lost) => None,
            // The session has told the device itself; what is said after that goes nowhere.
            Self::Session(_) => Some(("amqp:not-allowed", "Protocol")),
            Self::Hub(Closing::Superseded) => Some(("amqp:connection:forced", "Superseded")),
            Self::Hub(Closing::NoLongerAllowed) => Some(("amqp:unauthorized-access", "DeviceChanged")),
            // Of the conditions that end a connection Node comes back after this one alone (azure-iot-sdk-node: amqp_common_errors.ts).
            Self::Hub(Closing::TooSlow) | Self::Unread => Some(("amqp:link:detach-forced", "Unread")),
            Self::Shutdown => Some(("amqp:link:detach-forced", "Shutdown")),
            Self::Ended(ended) => Some(("amqp:not-allowed", ended.check)),
            Self::TokenExpired => Some(("amqp:unauthorized-access", "TokenExpiry")),
            Self::Unproven => Some(("amqp:unauthorized-access", "CredentialMissing")),
        }
    }
}

struct Driver<IO> {
    conversation: Conversation,
    reader: ReadHalf<IO>,
    writer: WriteHalf<IO>,
    unsent: Bytes,
    unsent_since: Option<Instant>,
    origin: Instant,
    prove_by: Instant,
}

/// What the driver woke up for.
enum Wake {
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
    Hub(HubEvent),
    Timer,
    Shutdown,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Driver<IO> {
    async fn run(&mut self, first: Event, mut shutdown: watch::Receiver<bool>) -> Why {
        let mut buffer = vec![0; READ_BYTES];
        if let Err(ended) = self.conversation.take(first).await {
            return Why::Ended(ended);
        }
        loop {
            if let Err(why) = self.work().await {
                return why;
            }
            self.collect();
            let due = self.due();
            let wake = tokio::select! {
                read = self.reader.read(&mut buffer) => Wake::Read(read),
                written = self.writer.write(&self.unsent), if !self.unsent.is_empty() => Wake::Written(written),
                event = next_of(self.conversation.connection.as_mut()) => Wake::Hub(event),
                () = tokio::time::sleep_until(due) => Wake::Timer,
                _ = shutdown.wait_for(|stop| *stop) => Wake::Shutdown,
            };
            if let Err(why) = self.act(wake, &buffer).await {
                return why;
            }
        }
    }

    async fn act(&mut self, wake: Wake, buffer: &[u8]) -> Result<(), Why> {
        match wake {
            Wake::Read(Ok(count)) if count > 0 => {
                let now_ms = self.now_ms();
                self.conversation.session.handle_bytes(buffer.get(..count).unwrap_or_default(), now_ms);
            }
            Wake::Read(_) | Wake::Written(Err(_) | Ok(0)) => self.conversation.session.handle_lost(),
            Wake::Written(Ok(count)) => return self.written(count).await,
            Wake::Hub(HubEvent::Notice(notice)) => return self.conversation.tell(notice).map_err(Why::Ended),
            Wake::Hub(HubEvent::Mail) => self.conversation.mail(),
            Wake::Hub(HubEvent::Close(why)) => return Err(Why::Hub(why)),
            Wake::Timer => return self.check_clock(),
            Wake::Shutdown => return Err(Why::Shutdown),
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

    fn collect(&mut self) {
        if self.unsent.is_empty() {
            self.unsent = self.conversation.session.poll_transmit().unwrap_or_default();
            self.unsent_since = (!self.unsent.is_empty()).then(Instant::now);
        }
    }

    async fn written(&mut self, count: usize) -> Result<(), Why> {
        self.unsent.advance(count.min(self.unsent.len()));
        self.unsent_since = (!self.unsent.is_empty()).then(Instant::now);
        if self.unsent.is_empty() {
            // TLS keeps what it has not sent until it is told to.
            match tokio::time::timeout(WRITE_TIMEOUT, self.writer.flush()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.conversation.session.handle_lost(),
                Err(_) => return Err(Why::Unread),
            }
        }
        Ok(())
    }

    /// When the clock must be looked at next.
    fn due(&self) -> Instant {
        let now = Instant::now();
        let session = self.conversation.session.poll_timeout().and_then(|due_ms| self.origin.checked_add(Duration::from_millis(due_ms)));
        let unread = self.unsent_since.and_then(|since| since.checked_add(WRITE_TIMEOUT));
        let unproven = self.conversation.connection.is_none().then_some(self.prove_by);
        let expiry = self.conversation.until.and_then(|until| {
            let left_ms = until.micros().saturating_sub(self.conversation.hub.now().micros()).max(0).unsigned_abs() / 1_000;
            now.checked_add(Duration::from_millis(left_ms.saturating_add(1)))
        });
        let far = now.checked_add(FAR).unwrap_or(now);
        [session, unread, unproven, expiry].into_iter().flatten().min().unwrap_or(far).min(far).max(now)
    }

    fn check_clock(&mut self) -> Result<(), Why> {
        let now = Instant::now();
        if self.conversation.until.is_some_and(|until| until <= self.conversation.hub.now()) {
            return Err(Why::TokenExpired);
        }
        if self.conversation.connection.is_none() && self.prove_by <= now {
            return Err(Why::Unproven);
        }
        if self.unsent_since.is_some_and(|since| now.duration_since(since) >= WRITE_TIMEOUT) {
            return Err(Why::Unread);
        }
        let now_ms = self.now_ms();
        self.conversation.session.handle_timeout(now_ms);
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Tells the device why, as far as it listens; gives the device that was connected.
    async fn end(&mut self, why: &Why) -> Option<usher_domain::DeviceId> {
        let error = why.to_error().map(|(condition, check)| {
            let tracking_id = self.conversation.log_refusal("a connection was closed", &Refusal::new(check, why.to_string()));
            AmqpError::new(condition, format!("{check}. Tracking ID: {}", tracking_id.as_str()))
        });
        self.conversation.session.close(error);
        // Gone for the hub before the farewell, which may take its time.
        let device = self.conversation.connection.take().map(|connection| connection.device_id().clone());
        // What is still unsent may be lost; closing must not wait for a device that does not read.
        let _ = tokio::time::timeout(WRITE_TIMEOUT, async {
            if !matches!(why, Why::Unread | Why::Hub(Closing::TooSlow)) {
                self.writer.write_all(&self.unsent).await?;
                while let Some(bytes) = self.conversation.session.poll_transmit() {
                    self.writer.write_all(&bytes).await?;
                }
            }
            self.writer.shutdown().await
        })
        .await;
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

/// Sends a refusal and closes.
async fn farewell<IO: AsyncRead + AsyncWrite + Unpin + Send>(mut session: Session, mut writer: WriteHalf<IO>) {
    // A peer that was refused and does not listen is no loss.
    let _ = tokio::time::timeout(WRITE_TIMEOUT, async {
        while let Some(bytes) = session.poll_transmit() {
            writer.write_all(&bytes).await?;
        }
        writer.shutdown().await
    })
    .await;
}
