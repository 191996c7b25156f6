//! Who is connected: one connection per device, with a bounded queue towards it and the method calls that wait for its answers.
//!
//! The newest connection wins, as on IoT Hub: devices reconnect before the hub notices that their old connection is dead.

mod calls;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, mpsc, oneshot};
use usher_domain::{DeviceId, Timestamp};

pub use calls::{CALL_BYTES_MAX, CALLS_PENDING_MAX, MethodCall, MethodResult};

use crate::{device::Presence, twin::DesiredPatch};

/// Notices that may wait for one connection. A device that is further behind is cut off: it fetches its twin when it comes back.
pub const NOTICES_MAX: usize = 64;

/// Something to tell a connected device.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// Its desired properties changed.
    Desired(DesiredPatch),
    /// A method is called.
    Method(MethodCall),
}

/// Why the hub ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closing {
    /// The device connected anew.
    Superseded,
    /// The device was deleted or disabled, or its credential was changed.
    NoLongerAllowed,
    /// It did not read what was sent.
    TooSlow,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superseded => "the device has connected anew",
            Self::NoLongerAllowed => "the device was deleted, disabled or given another credential",
            Self::TooSlow => "the device does not read what it is sent",
        })
    }
}

/// The hub's side of all connections.
#[derive(Default)]
pub struct Live {
    table: Mutex<HashMap<DeviceId, Entry>>,
    next_connection: AtomicU64,
    /// Rung when a device connects or becomes ready for methods, for calls that wait for that.
    arrivals: Notify,
}

struct Entry {
    connection: u64,
    since: Timestamp,
    shared: Arc<Shared>,
    close: Option<oneshot::Sender<Closing>>,
}

/// What both sides of a connection touch.
struct Shared {
    notices: mpsc::Sender<Notice>,
    mail: Notify,
    last_activity: AtomicI64,
    calls: calls::Calls,
}

/// The device's side of a connection. Dropping it ends the connection for the hub.
pub struct Connection {
    device_id: DeviceId,
    id: u64,
    live: Arc<Live>,
    shared: Arc<Shared>,
    notices: mpsc::Receiver<Notice>,
    closing: oneshot::Receiver<Closing>,
}

/// What a connection waits for.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// To be told to the device.
    Notice(Notice),
    /// There may be new cloud-to-device messages.
    Mail,
    /// The hub ends the connection.
    Close(Closing),
}

impl Live {
    /// Connects a device; an older connection of it is closed.
    pub fn connect(self: &Arc<Self>, device_id: DeviceId, now: Timestamp) -> Connection {
        let (notices_in, notices) = mpsc::channel(NOTICES_MAX);
        let (close, closing) = oneshot::channel();
        let id = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            notices: notices_in,
            mail: Notify::new(),
            last_activity: AtomicI64::new(now.micros()),
            calls: calls::Calls::default(),
        });
        let entry = Entry { connection: id, since: now, shared: Arc::clone(&shared), close: Some(close) };
        let older = self.table().insert(device_id.clone(), entry);
        if let Some(older) = older {
            older.end(Closing::Superseded);
        }
        Connection { device_id, id, live: Arc::clone(self), shared, notices, closing }
    }

    /// Ends a device's connection, if it has one.
    pub fn disconnect(&self, device_id: &DeviceId, why: Closing) {
        let entry = self.table().remove(device_id);
        if let Some(entry) = entry {
            entry.end(why);
        }
    }

    /// Tells a device, if it is connected. One that is too far behind is cut off.
    pub fn tell(&self, device_id: &DeviceId, notice: Notice) {
        let full = {
            let table = self.table();
            table
                .get(device_id)
                .is_some_and(|entry| matches!(entry.shared.notices.try_send(notice), Err(mpsc::error::TrySendError::Full(_))))
        };
        if full {
            self.disconnect(device_id, Closing::TooSlow);
        }
    }

    /// Rings for new cloud-to-device messages.
    pub fn ring(&self, device_id: &DeviceId) {
        if let Some(entry) = self.table().get(device_id) {
            entry.shared.mail.notify_one();
        }
    }

    /// What is known of a device's connection.
    pub fn presence(&self, device_id: &DeviceId) -> Presence {
        self.table().get(device_id).map_or_else(Presence::default, |entry| Presence {
            connected: true,
            connection_changed: Some(entry.since),
            last_activity: Some(Timestamp::from_micros(entry.shared.last_activity.load(Ordering::Relaxed))),
            messages_waiting: 0,
        })
    }

    /// How many devices are connected.
    pub fn count(&self) -> usize {
        self.table().len()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<DeviceId, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn end(mut self, why: Closing) {
        self.shared.calls.abandon();
        if let Some(close) = self.close.take() {
            // The connection may have ended by itself.
            let _ = close.send(why);
        }
    }
}

impl Connection {
    /// Whose it is.
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// Waits for the next thing to do. Safe to drop and call again.
    pub async fn next(&mut self) -> Event {
        tokio::select! {
            biased;
            why = &mut self.closing => Event::Close(why.unwrap_or(Closing::Superseded)),
            Some(notice) = self.notices.recv() => Event::Notice(notice),
            () = self.shared.mail.notified() => Event::Mail,
        }
    }

    /// Notes that the device was heard.
    pub fn heard(&self, now: Timestamp) {
        self.shared.last_activity.store(now.micros(), Ordering::Relaxed);
    }

    /// Notes whether the device takes method calls: it does once it has subscribed to them.
    pub fn take_methods(&self, ready: bool) {
        self.shared.calls.set_ready(ready);
        self.live.arrivals.notify_waiters();
    }

    /// Brings a method's answer to its caller. False where nobody waits for it any more.
    pub fn answer(&self, request_id: &str, result: MethodResult) -> bool {
        self.shared.calls.answer(request_id, result)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.calls.abandon();
        let mut table = self.live.table();
        if table.get(&self.device_id).is_some_and(|entry| entry.connection == self.id) {
            table.remove(&self.device_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(10);

    fn device() -> DeviceId {
        DeviceId::parse("d").unwrap_or_else(|error| panic!("{error}"))
    }

    fn desired(version: u64) -> Notice {
        Notice::Desired(DesiredPatch { version, patch: Map::new() })
    }

    #[tokio::test]
    async fn the_newest_connection_wins() {
        let live = Arc::new(Live::default());
        let mut first = live.connect(device(), NOW);
        let mut second = live.connect(device(), NOW);
        assert_eq!(first.next().await, Event::Close(Closing::Superseded));
        drop(first);
        assert!(live.presence(&device()).connected, "the end of the older connection leaves the newer one alone");
        live.tell(&device(), desired(2));
        assert_eq!(second.next().await, Event::Notice(desired(2)));
        drop(second);
        assert_eq!((live.count(), live.presence(&device()).connected), (0, false));
    }

    #[tokio::test]
    async fn a_device_that_does_not_read_is_cut_off() {
        let live = Arc::new(Live::default());
        let mut connection = live.connect(device(), NOW);
        for version in 0..=NOTICES_MAX as u64 {
            live.tell(&device(), desired(version));
        }
        assert_eq!(connection.next().await, Event::Close(Closing::TooSlow));
        assert!(!live.presence(&device()).connected);
    }

    #[tokio::test]
    async fn mail_is_rung_for_even_while_nobody_waits() {
        let live = Arc::new(Live::default());
        let mut connection = live.connect(device(), NOW);
        live.ring(&device());
        live.ring(&device());
        assert_eq!(connection.next().await, Event::Mail);
    }
}
