//! A device's MQTT session where it outlives the connection (clean session 0): its subscriptions.
//!
//! The Python SDK subscribes once and relies on the hub to remember (azure-iot-sdk-python: common/mqtt_transport.py connects with
//! `clean_session=False` and does not subscribe anew). Kept durably, so that devices go on working when the hub restarts.

use serde::{Deserialize, Serialize};
use usher_domain::DeviceId;
use usher_store::{Expect, Op};

use super::EmbeddedHub;
use crate::Fault;

/// Subscriptions of one device: there are four topics to subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 4;

/// One subscription.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic filter as the device sent it.
    pub filter: String,
    /// Whether the device is to acknowledge what it gets (QoS 1).
    pub acknowledged: bool,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Session {
    /// At most [`SUBSCRIPTIONS_MAX`].
    pub subscriptions: Vec<Subscription>,
}

impl EmbeddedHub {
    /// The device's session from an earlier connection.
    pub async fn session(&self, id: &DeviceId) -> Result<Option<Session>, Fault> {
        Ok(self.vault.get(&self.keys.session(id)).await?.map(|found| found.value))
    }

    /// Keeps the device's session for its next connection; writes only where something changed.
    pub async fn keep_session(&self, id: &DeviceId, session: &Session) -> Result<(), Fault> {
        if self.session(id).await?.as_ref() == Some(session) {
            return Ok(());
        }
        let (put, _) = self.vault.put(self.keys.session(id), Expect::Any, session)?;
        Ok(self.vault.commit(vec![put]).await?)
    }

    /// Forgets the device's session.
    pub async fn forget_session(&self, id: &DeviceId) -> Result<(), Fault> {
        if self.session(id).await?.is_none() {
            return Ok(());
        }
        Ok(self.vault.commit(vec![Op::Delete { key: self.keys.session(id), expect: Expect::Any }]).await?)
    }
}
