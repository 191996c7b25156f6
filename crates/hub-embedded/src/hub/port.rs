//! The hub as provisioning sees it.

use usher_domain::{
    DeviceId,
    hub_device::{DeviceSpec, InitialTwin},
};
use usher_hub::{BoxFuture, Hub, HubError, TwinWrite};

use super::{ATTEMPTS_MAX, EmbeddedHub, contended};
use crate::{
    Code, Fault,
    device::Device,
    etag::Condition,
    live::Closing,
    twin::{DesiredPatch, TwinChange},
};

impl From<Fault> for HubError {
    fn from(fault: Fault) -> Self {
        match fault.code {
            Code::ConcurrentChange | Code::ServiceUnavailable | Code::ServerError => Self::Unavailable(fault.message),
            Code::ThrottlingException => Self::Throttled { retry_after_s: 1 },
            _ => Self::Rejected(fault.to_string()),
        }
    }
}

impl Hub for EmbeddedHub {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async move { Ok(self.ensure(spec, twin).await?) })
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(async move { Ok(self.read(device_id).await?.map(|found| found.value.twin.to_initial())) })
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async move {
            match self.remove_device(device_id, &Condition::Any).await {
                Ok(()) | Err(Fault { code: Code::DeviceNotFound, .. }) => Ok(()),
                Err(fault) => Err(fault.into()),
            }
        })
    }
}

/// What an existing device's live connection has to hear.
struct Changed {
    access: bool,
    desired: Option<DesiredPatch>,
}

impl EmbeddedHub {
    /// Device and twin are one record, so one commit makes both or neither, and `IfCreated` has no state in between to mend.
    async fn ensure(&self, spec: &DeviceSpec, twin: TwinWrite<'_>) -> Result<(), Fault> {
        let (TwinWrite::IfCreated(initial) | TwinWrite::Replace(initial)) = twin;
        for _ in 0..ATTEMPTS_MAX {
            if self.read(&spec.device_id).await?.is_none() {
                let made = Device::from_spec(spec, TwinChange::initial(initial), self.birth(&mut || self.new_key()))?;
                if self.insert(&made).await? {
                    return Ok(());
                }
            }
            match self.bring(spec, twin).await {
                // Removed between the two steps: make it.
                Err(Fault { code: Code::DeviceNotFound, .. }) => {}
                brought => return brought,
            }
        }
        Err(contended())
    }

    async fn bring(&self, spec: &DeviceSpec, twin: TwinWrite<'_>) -> Result<(), Fault> {
        let now = self.now();
        let change = |device: &mut Device| {
            let access = device.bring_to(spec)?;
            let desired = match twin {
                TwinWrite::IfCreated(_) => None,
                TwinWrite::Replace(initial) => {
                    device.twin.forget_reported(now);
                    Some(device.twin.replace(TwinChange::initial(initial), now)?)
                }
            };
            Ok(Changed { access, desired })
        };
        let (_, changed) = self.change(&spec.device_id, change).await?;
        self.tell(&spec.device_id, changed.desired);
        if changed.access {
            self.live.disconnect(&spec.device_id, Closing::NoLongerAllowed);
        }
        Ok(())
    }
}
