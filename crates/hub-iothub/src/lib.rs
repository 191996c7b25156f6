//! The connector to remote IoT hubs: Azure IoT Hub, and whatever speaks its registry API, such as another usher's embedded hub.
//!
//! It speaks as the service SDKs do (docs/protocol/hub-service.md) and needs a policy with RegistryRead, RegistryWrite and
//! ServiceConnect. What it calls, and when, is told in docs/linked-hubs.md.

pub mod answer;
mod call;
mod connection;
mod ensure;
mod identity;
mod token;
pub mod twin;

use std::sync::Arc;

use usher_domain::{
    DeviceId,
    clock::Clock,
    hub_device::{DeviceSpec, InitialTwin},
};
use usher_hub::{BoxFuture, Hub, HubError, TwinWrite};
use usher_outbound::Client;

pub use connection::Connection;

use token::Tokens;

/// One remote hub.
pub struct IotHub {
    connection: Connection,
    client: Client,
    clock: Arc<dyn Clock>,
    tokens: Tokens,
}

impl IotHub {
    /// A connector; nothing is sent yet.
    pub fn new(connection: Connection, client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { connection, client, clock, tokens: Tokens::default() }
    }
}

impl Hub for IotHub {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(self.ensure(spec, twin))
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(async move { Ok(self.get_twin(device_id).await?.map(|twin| twin.settings)) })
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(self.remove(device_id))
    }
}
