//! Twins: the service's side and the device's.

use serde_json::Value;
use usher_domain::DeviceId;

use super::EmbeddedHub;
use crate::{Fault, device::Device, etag::Condition, twin::TwinChange};

impl EmbeddedHub {
    /// Merges the service's patch; a connected device is told of desired changes.
    pub async fn patch_twin(&self, id: &DeviceId, body: &Value, condition: &Condition) -> Result<Device, Fault> {
        let change = TwinChange::parse(body)?;
        let now = self.now();
        let patch = |device: &mut Device| {
            condition.check(&device.twin.etag())?;
            device.twin.patch(change.clone(), now)
        };
        let (device, told) = self.change(id, patch).await?;
        self.tell(id, told);
        Ok(device)
    }

    /// Puts tags and desired properties in place of the present ones; a connected device is told.
    pub async fn replace_twin(&self, id: &DeviceId, body: &Value, condition: &Condition) -> Result<Device, Fault> {
        let change = TwinChange::parse(body)?;
        let now = self.now();
        let replace = |device: &mut Device| {
            condition.check(&device.twin.etag())?;
            device.twin.replace(change.clone(), now).map(Some)
        };
        let (device, told) = self.change(id, replace).await?;
        self.tell(id, told);
        Ok(device)
    }

    /// Merges what the device reports; gives the new version of its reported properties.
    pub async fn report(&self, id: &DeviceId, patch: &Value) -> Result<u64, Fault> {
        let now = self.now();
        let (_, version) = self.change(id, |device| device.twin.report(patch, now)).await?;
        Ok(version)
    }
}
