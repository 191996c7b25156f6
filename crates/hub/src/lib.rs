//! The hub port: the few things usher needs of an IoT hub. Connectors implement it; [`fake::FakeHub`] stands in for them in tests.
//!
//! Every call is idempotent: repeated after a crash or a lost answer it leaves the hub as one call would. Every implementation
//! bounds its own waiting; a caller may also drop the future at any await.

pub mod breaker;
pub mod conformance;
pub mod fake;
pub mod guarded;
pub mod health;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use usher_domain::{
    DeviceId,
    hub_device::{DeviceSpec, InitialTwin},
    service::LinkedHub,
};

/// A boxed future, so that the port can be used as a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What to do with the twin while a device is ensured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TwinWrite<'a> {
    /// Set it if this call makes the device, or if an earlier call of the same operation made the device but may not have got to
    /// the twin; leave the twin of a device that was there before alone.
    IfCreated(&'a InitialTwin),
    /// Replace tags and desired properties whatever is there. Reported properties are dropped where the hub allows it.
    Replace(&'a InitialTwin),
}

/// Why a hub did not do as it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubError {
    /// It cannot be reached, is too slow or has a fault: try again later.
    Unavailable(String),
    /// It asks for patience.
    Throttled {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// It does not accept usher's credentials: an operator must mend that.
    Unauthorized(String),
    /// It will not take this request, now or later (quota, rules).
    Rejected(String),
}

impl HubError {
    /// Whether the same call may succeed later without an operator's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Throttled { .. })
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the hub is unavailable: {why}"),
            Self::Throttled { retry_after_s } => write!(f, "the hub throttles: wait {retry_after_s} s"),
            Self::Unauthorized(why) => write!(f, "the hub refuses the service's credentials: {why}"),
            Self::Rejected(why) => write!(f, "the hub rejects the request: {why}"),
        }
    }
}

impl std::error::Error for HubError {}

/// A hub, as provisioning sees it.
pub trait Hub: Send + Sync + 'static {
    /// Makes the device or brings an existing one to `spec`, and writes its twin as asked. Durable before it returns.
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>>;

    /// The device's tags and desired properties; `None` where there is no such device.
    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>>;

    /// Removes the device. Its absence is success.
    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>>;
}

impl Hub for Box<dyn Hub> {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        self.as_ref().ensure_device(spec, twin)
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        self.as_ref().read_twin(device_id)
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        self.as_ref().delete_device(device_id)
    }
}

/// Finds the connector of a linked hub.
pub trait Hubs: Send + Sync + 'static {
    /// The connector to a hub that the service of `tenant` has linked, or `None` where this process has none for it. Sends nothing,
    /// and gives the same connector to all who come with the same connection, so that they share its limits.
    fn connect(&self, tenant: u32, linked: &LinkedHub) -> Option<Arc<dyn Hub>>;
}
