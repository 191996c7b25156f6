//! Drives one device's connection: bytes, hub, clock.

use std::{sync::Arc, time::Duration};

use bytes::{Buf as _, Bytes};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::watch,
    time::Instant,
};
use usher_domain::{Timestamp, TrackingId};
use usher_hub_embedded::{EmbeddedHubs, live};
use usher_mqtt::{
    packet::{Connect, Will},
    server::{Close, Event, Session},
};

use super::{
    PeerEvidence,
    admit::{Admitted, NotAdmitted, admit},
    conversation::{Conversation, Ended},
};

/// Read from a device at once.
const READ_BYTES: usize = 8 * 1024;
/// How long a device may leave what it is sent unread, and how long a farewell may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// A timer for what never comes due.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves a device until it leaves, is no longer allowed, or the server stops. `session` has told `connect` and awaits a verdict;
/// `origin` is the zero of the clock in milliseconds that it was made with.
pub async fn serve<IO>(
    hubs: Arc<EmbeddedHubs>,
    connect: Connect,
    mut session: Session,
    io: IO,
    peer: PeerEvidence,
    origin: Instant,
    shutdown: watch::Receiver<bool>,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (reader, writer) = tokio::io::split(io);
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
            return farewell(session, writer).await;
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
    let mut driver = Driver { conversation, reader, writer, unsent: Bytes::new(), origin, until, unsent_since: None };
    let why = driver.run(shutdown).await;
    driver.end(connect.will.as_ref(), &why).await;
    tracing::info!(hub = %name, device = %device, %why, "a device disconnected");
    hub.note_activity(&device, hub.now(), None).await;
}

/// Why a connection ended.
enum Why {
    Session(Close),
    Hub(live::Closing),
    Ended(Ended),
    TokenExpired,
    Unread,
    Shutdown,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session(close) => close.fmt(f),
            Self::Hub(closing) => closing.fmt(f),
            Self::Ended(Ended(why)) => f.write_str(why),
            Self::TokenExpired => f.write_str("the device's SAS token expired"),
            Self::Unread => f.write_str("the device does not read what it is sent"),
            Self::Shutdown => f.write_str("the server stops"),
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
    until: Option<Timestamp>,
}

/// What the driver woke up for.
enum Wake {
    Read(std::io::Result<usize>),
    Written(std::io::Result<usize>),
    Hub(live::Event),
    Timer,
    Shutdown,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Driver<IO> {
    async fn run(&mut self, mut shutdown: watch::Receiver<bool>) -> Why {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Err(why) = self.work().await {
                return why;
            }
            self.collect();
            let due = self.due();
            let wake = tokio::select! {
                read = self.reader.read(&mut buffer) => Wake::Read(read),
                written = self.writer.write(&self.unsent), if !self.unsent.is_empty() => Wake::Written(written),
                event = self.conversation.connection.next() => Wake::Hub(event),
                () = tokio::time::sleep_until(due) => Wake::Timer,
                _ = shutdown.wait_for(|stop| *stop) => Wake::Shutdown,
            };
            let outcome = match wake {
                Wake::Read(Ok(count)) if count > 0 => {
                    let now_ms = self.now_ms();
                    self.conversation.session.handle_bytes(buffer.get(..count).unwrap_or_default(), now_ms);
                    Ok(())
                }
                Wake::Read(_) | Wake::Written(Err(_) | Ok(0)) => {
                    self.conversation.session.handle_lost();
                    Ok(())
                }
                Wake::Written(Ok(count)) => self.written(count).await,
                Wake::Hub(live::Event::Notice(notice)) => self.conversation.tell(notice).map_err(Why::Ended),
                Wake::Hub(live::Event::Mail) => {
                    self.conversation.mail();
                    Ok(())
                }
                Wake::Hub(live::Event::Close(why)) => Err(Why::Hub(why)),
                Wake::Timer => self.check_clock(),
                Wake::Shutdown => Err(Why::Shutdown),
            };
            if let Err(why) = outcome {
                return why;
            }
        }
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
            let flushed = tokio::time::timeout(WRITE_TIMEOUT, self.writer.flush()).await;
            match flushed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => self.conversation.session.handle_lost(),
                Err(_) => return Err(Why::Unread),
            }
        }
        Ok(())
    }

    /// When the clock must be looked at next.
    fn due(&self) -> Instant {
        let keep_alive = self.conversation.session.poll_timeout().and_then(|due_ms| self.origin.checked_add(Duration::from_millis(due_ms)));
        let unread = self.unsent_since.and_then(|since| since.checked_add(WRITE_TIMEOUT));
        let now = Instant::now();
        let expiry = self.until.and_then(|until| {
            let left_ms = until.micros().saturating_sub(self.conversation.hub.now().micros()).max(0).unsigned_abs() / 1_000;
            now.checked_add(Duration::from_millis(left_ms.saturating_add(1)))
        });
        [keep_alive, unread, expiry].into_iter().flatten().min().unwrap_or(now).min(now.checked_add(FAR).unwrap_or(now)).max(now)
    }

    fn check_clock(&mut self) -> Result<(), Why> {
        let now = Instant::now();
        if self.until.is_some_and(|until| until <= self.conversation.hub.now()) {
            return Err(Why::TokenExpired);
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

    /// Ends the session; a device that did not say goodbye has its will published, unless it merely connected anew.
    async fn end(&mut self, will: Option<&Will>, why: &Why) {
        self.conversation.session.close();
        let clean = matches!(why, Why::Session(close) if close.is_clean());
        if let Some(will) = will.filter(|_| !clean) {
            self.conversation.publish_will(will);
        }
        // What is still unsent may be lost; closing must not wait for a device that does not read.
        let _ = tokio::time::timeout(WRITE_TIMEOUT, async {
            if matches!(why, Why::Shutdown | Why::Session(_)) {
                self.writer.write_all(&self.unsent).await?;
                while let Some(bytes) = self.conversation.session.poll_transmit() {
                    self.writer.write_all(&bytes).await?;
                }
            }
            self.writer.shutdown().await
        })
        .await;
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
