//! The hub inside the process: device identities, twins, cloud-to-device messages, direct methods and telemetry, compatible with
//! IoT Hub as far as Azure's SDKs and tools need it.
//!
//! Rules are pure code with time and chance as arguments ([`device`], [`twin`], [`cloud_message`], [`query`]); [`hub`] reads records,
//! applies the rules and writes back; [`live`] knows who is connected. No protocol lives here: REST and MQTT are at the rim.
//!
//! Not offered: modules, jobs, device configurations, file upload, message routing. Requests for them are refused by name.

pub mod cloud_message;
pub mod device;
pub mod etag;
pub mod fault;
pub mod hub;
pub mod hubs;
pub mod live;
pub mod policy;
pub mod query;
pub mod telemetry;
pub mod twin;

pub use fault::{Code, Fault};
pub use hub::EmbeddedHub;
pub use hubs::EmbeddedHubs;
