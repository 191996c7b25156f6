//! Devices connect and leave.

use std::sync::Arc;

use usher_domain::{DeviceId, Timestamp};

use super::EmbeddedHub;
use crate::{
    Code, Fault,
    device::{Device, Status},
    live::Connection,
};

impl EmbeddedHub {
    /// Connects a device that has proved who it is against `judged`, the record as it was then. Refused where the record has changed
    /// meanwhile in a way that concerns access: what ends connections may have run before this one was there to be ended.
    pub async fn connect(&self, judged: &Device) -> Result<Connection, Fault> {
        let connection = Arc::clone(&self.live).connect(judged.device_id.clone(), self.now());
        let now = self.device(&judged.device_id).await?;
        let unchanged = now.generation_id == judged.generation_id && now.authentication == judged.authentication;
        if unchanged && now.status == Status::Enabled {
            return Ok(connection);
        }
        Err(Fault::new(Code::IotHubUnauthorizedAccess, "The device was changed while it connected."))
    }

    /// Notes when a device was last heard, and its Plug and Play model. Best effort: a device that is gone is no error.
    pub async fn note_activity(&self, id: &DeviceId, heard: Timestamp, model_id: Option<&str>) {
        let noted = self
            .change(id, |device| {
                device.last_activity = Some(heard);
                if model_id.is_some() {
                    device.model_id = model_id.map(str::to_owned);
                }
                Ok(())
            })
            .await;
        if let Err(fault) = noted {
            tracing::debug!(hub = %self.name, device = %id, %fault, "the device's last activity was not noted");
        }
    }

    /// How many devices are connected.
    pub fn connected(&self) -> usize {
        self.live.count()
    }
}
