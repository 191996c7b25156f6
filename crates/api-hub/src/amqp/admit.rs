//! Decides whether a device is let in: by a token that it puts to `$cbs`, or by its certificate at its first link.

use usher_domain::{DeviceId, Timestamp};
use usher_hub_embedded::{Code, EmbeddedHub, Fault, device::Device, live::Connection};

use super::address::{devices_of, segment_of_audience};
use crate::{
    access::{Evidence, Refusal, judge_device},
    mqtt::PeerEvidence,
};

/// Token types that are taken (azure-iot-sdk-node: common/transport/amqp/src/amqp_cbs.ts; azure-iot-sdk-csharp: CbsConstants).
pub const TOKEN_TYPES: [&str; 2] = ["servicebus.windows.net:sastoken", "azure-devices.net:sastoken"];

/// A device that may be let in.
#[derive(Debug)]
pub struct Proven {
    /// Its record as it was judged.
    pub device: Device,
    /// When its token expires; a certificate's connection does not.
    pub until: Option<Timestamp>,
}

/// Why a device was not let in.
#[derive(Debug)]
pub struct NotProven {
    /// HTTP's number for it: 401, or 5xx where it was not the device's fault.
    pub status: u16,
    /// For the log.
    pub refusal: Refusal,
}

impl NotProven {
    /// Not authorised.
    pub fn unauthorized(check: &'static str, detail: impl Into<String>) -> Self {
        Self { status: 401, refusal: Refusal::new(check, detail) }
    }

    /// What the device is told. One word for all: who is not let in does not learn which devices there are, nor how near a guess came.
    pub fn told(&self) -> &'static str {
        if self.status == 401 { "Unauthorized" } else { "ServiceUnavailable" }
    }

    fn fault(fault: &Fault) -> Self {
        let status = match fault.code {
            Code::ServiceUnavailable | Code::ServerError | Code::ConcurrentChange => 503,
            _ => 401,
        };
        Self { status, refusal: Refusal::new(fault.code.name(), fault.message.clone()) }
    }
}

/// Where a device is judged.
pub struct Gate<'a> {
    /// The hub.
    pub hub: &'a EmbeddedHub,
    /// The hub's name as the device spelled it.
    pub host: &'a str,
    /// What TLS knows of it.
    pub peer: &'a PeerEvidence,
}

impl Gate<'_> {
    /// Judges a token for an audience.
    pub async fn judge_token(&self, audience: &str, token: &str) -> Result<Proven, NotProven> {
        let segment = segment_of_audience(audience).ok_or_else(|| {
            let head: String = audience.chars().take(200).collect();
            NotProven::unauthorized("CbsAudience", format!("the token's audience {head:?} is not {{hub}}/devices/{{deviceId}}"))
        })?;
        self.judge(self.find(&segment).await?, Some(token))
    }

    /// Judges a certificate for the device of an address.
    pub async fn judge_certificate(&self, segment: &str) -> Result<Proven, NotProven> {
        self.judge(self.find(segment).await?, None)
    }

    async fn find(&self, segment: &str) -> Result<Device, NotProven> {
        let mut missing = Fault::no_device(&segment.chars().take(200).collect::<String>());
        for id in devices_of(segment) {
            match self.hub.device(&id).await {
                Err(fault) if fault.code == Code::DeviceNotFound => missing = fault,
                found => return found.map_err(|fault| NotProven::fault(&fault)),
            }
        }
        Err(NotProven::fault(&missing))
    }

    fn judge(&self, device: Device, token: Option<&str>) -> Result<Proven, NotProven> {
        let evidence = Evidence { authority: self.host, token, chain: &self.peer.chain };
        match judge_device(self.hub, &device, evidence, self.hub.now()) {
            Ok(admission) => Ok(Proven { device, until: admission.until }),
            Err(refusal) => Err(NotProven { status: 401, refusal }),
        }
    }

    /// Connects a proven device.
    pub async fn connect(&self, device: &Device) -> Result<Connection, NotProven> {
        self.hub.connect(device).await.map_err(|fault| NotProven::fault(&fault))
    }
}

/// Whether a segment of an address means this device.
pub fn is_device_s(segment: &str, id: &DeviceId) -> bool {
    devices_of(segment).contains(id)
}
