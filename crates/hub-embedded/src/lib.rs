//! placeholder
pub mod cloud_message;
pub mod device;
pub mod etag;
pub mod fault;
pub mod live;
pub mod policy;
pub mod query;
pub mod telemetry;
pub mod twin;
pub use fault::{Code, Fault};
