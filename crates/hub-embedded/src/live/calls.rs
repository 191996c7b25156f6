//! Direct methods: a call goes to the connected device and waits, for a bounded time, for the answer with its request ID.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use usher_domain::DeviceId;

use super::{Live, Notice, Shared};
use crate::{Code, Fault};

/// Calls that may wait for one device at once.
pub const CALLS_PENDING_MAX: usize = 32;
/// Largest payload of a call or of its answer, in bytes (IoT Hub: 128 KB).
pub const CALL_BYTES_MAX: usize = 128 * 1024;

/// A call on its way to a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MethodCall {
    /// Joins the answer to the call.
    pub request_id: String,
    /// The method.
    pub name: String,
    /// JSON text.
    pub payload: Vec<u8>,
}

/// A device's answer.
#[derive(Clone, PartialEq, Debug)]
pub struct MethodResult {
    /// In the device's own numbering.
    pub status: i64,
    /// JSON.
    pub payload: Value,
}

/// The calls of one connection.
#[derive(Default)]
pub(super) struct Calls {
    ready: AtomicBool,
    next: AtomicU64,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    ended: bool,
    callers: HashMap<String, oneshot::Sender<MethodResult>>,
}

impl Calls {
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::SeqCst);
    }

    pub(super) fn answer(&self, request_id: &str, result: MethodResult) -> bool {
        let caller = self.with(|pending| pending.callers.remove(request_id));
        caller.is_some_and(|caller| caller.send(result).is_ok())
    }

    /// The connection has ended: whoever still waits learns it.
    pub(super) fn abandon(&self) {
        let callers = self.with(|pending| {
            pending.ended = true;
            std::mem::take(&mut pending.callers)
        });
        drop(callers);
    }

    fn begin(&self) -> Result<(String, oneshot::Receiver<MethodResult>), Fault> {
        let request_id = self.next.fetch_add(1, Ordering::Relaxed).saturating_add(1).to_string();
        let (caller, answer) = oneshot::channel();
        self.with(|pending| {
            if pending.ended {
                return Err(offline());
            }
            if pending.callers.len() >= CALLS_PENDING_MAX {
                return Err(Fault::new(Code::ThrottlingException, format!("{CALLS_PENDING_MAX} calls wait for the device already.")));
            }
            pending.callers.insert(request_id.clone(), caller);
            Ok(())
        })?;
        Ok((request_id, answer))
    }

    fn forget(&self, request_id: &str) {
        self.with(|pending| pending.callers.remove(request_id));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Pending) -> T) -> T {
        work(&mut self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes a call off the list however its caller ends.
struct Place<'a> {
    calls: &'a Calls,
    request_id: String,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.calls.forget(&self.request_id);
    }
}

impl Live {
    /// Calls a method: waits up to `connect` for the device to be there, then up to `respond` for its answer.
    pub async fn call(
        &self,
        device_id: &DeviceId,
        name: &str,
        payload: Vec<u8>,
        connect: Duration,
        respond: Duration,
    ) -> Result<MethodResult, Fault> {
        let shared = tokio::time::timeout(connect, self.ready(device_id)).await;
        let shared = match shared {
            Ok(shared) => shared,
            Err(_) => self.find_ready(device_id).ok_or_else(offline)?,
        };
        let (request_id, answer) = shared.calls.begin()?;
        let place = Place { calls: &shared.calls, request_id };
        let call = MethodCall { request_id: place.request_id.clone(), name: name.to_owned(), payload };
        match shared.notices.try_send(Notice::Method(call)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                return Err(Fault::new(Code::ThrottlingException, "Too much waits for the device already."));
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(offline()),
        }
        match tokio::time::timeout(respond, answer).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(Fault::new(Code::DeviceNotOnline, "The device disconnected before it answered.")),
            Err(_) => Err(Fault::new(Code::GatewayTimeout, "Timed out waiting for the response from device.")),
        }
    }

    async fn ready(&self, device_id: &DeviceId) -> Arc<Shared> {
        loop {
            let arrival = self.arrivals.notified();
            if let Some(shared) = self.find_ready(device_id) {
                return shared;
            }
            arrival.await;
        }
    }

    fn find_ready(&self, device_id: &DeviceId) -> Option<Arc<Shared>> {
        let table = self.table();
        let shared = &table.get(device_id)?.shared;
        shared.calls.ready.load(Ordering::SeqCst).then(|| Arc::clone(shared))
    }
}

/// IoT Hub's words (troubleshoot-error-codes: 404103).
fn offline() -> Fault {
    Fault::new(
        Code::DeviceNotOnline,
        "The operation failed because the requested device isn't online or hasn't registered the direct method callback.",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use usher_domain::Timestamp;

    use super::*;
    use crate::live::{Connection, Event};

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    fn device() -> DeviceId {
        DeviceId::parse("d").unwrap()
    }

    fn connected(live: &Arc<Live>) -> Connection {
        live.connect(device(), Timestamp::from_secs(1))
    }

    async fn received(connection: &mut Connection) -> MethodCall {
        match connection.next().await {
            Event::Notice(Notice::Method(call)) => call,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_answer_finds_its_caller() {
        let live = Arc::new(Live::default());
        let mut connection = connected(&live);
        connection.take_methods(true);
        let device = async {
            let call = received(&mut connection).await;
            assert_eq!((call.name.as_str(), call.payload.as_slice()), ("reboot", b"{}".as_slice()));
            assert!(connection.answer(&call.request_id, MethodResult { status: 200, payload: json!({"ok": true}) }));
            assert!(!connection.answer(&call.request_id, MethodResult { status: 200, payload: json!(null) }), "only once");
        };
        let id = self::device();
        let (result, ()) = tokio::join!(live.call(&id, "reboot", b"{}".to_vec(), SHORT, LONG), device);
        assert_eq!(result.unwrap(), MethodResult { status: 200, payload: json!({"ok": true}) });
    }

    #[tokio::test]
    async fn a_device_that_is_away_or_takes_no_methods_is_not_online() {
        let live = Arc::new(Live::default());
        let call = || async { live.call(&device(), "m", vec![], SHORT, LONG).await.unwrap_err().code };
        assert_eq!(call().await, Code::DeviceNotOnline);
        let connection = connected(&live);
        assert_eq!(call().await, Code::DeviceNotOnline);
        drop(connection);
    }

    #[tokio::test]
    async fn a_call_waits_for_the_device_to_come() {
        let live = Arc::new(Live::default());
        let arriving = async {
            tokio::time::sleep(SHORT).await;
            let mut connection = connected(&live);
            connection.take_methods(true);
            let call = received(&mut connection).await;
            connection.answer(&call.request_id, MethodResult { status: 1, payload: json!(null) });
            connection
        };
        let id = device();
        let (result, _connection) = tokio::join!(live.call(&id, "m", vec![], LONG, LONG), arriving);
        assert_eq!(result.unwrap().status, 1);
    }

    #[tokio::test]
    async fn silence_times_out_and_a_lost_connection_ends_the_wait() {
        let live = Arc::new(Live::default());
        let connection = connected(&live);
        connection.take_methods(true);
        assert_eq!(live.call(&device(), "m", vec![], SHORT, SHORT).await.unwrap_err().code, Code::GatewayTimeout);
        let leaving = async {
            tokio::time::sleep(SHORT).await;
            drop(connection);
        };
        let id = device();
        let (result, ()) = tokio::join!(live.call(&id, "m", vec![], SHORT, LONG), leaving);
        assert_eq!(result.unwrap_err().code, Code::DeviceNotOnline);
    }
}
