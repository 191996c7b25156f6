//! The nouns of device provisioning and their rules: identifiers, enrollments, registrations, provisioning services,
//! JSON shapes, limits and the error table.
//!
//! Nothing here does I/O, reads a clock, draws randomness or logs: time and new identifiers are arguments. That keeps every rule
//! testable with plain values and leaves one place to look when a field or a code is in doubt.

pub mod allocation_question;
pub mod attempt;
pub mod ca_certificate;
pub mod certification;
pub mod clock;
pub mod credential_policy;
pub mod document;
pub mod enrollment;
pub mod error;
pub mod hub_connection;
pub mod hub_device;
pub mod ids;
pub mod initial_twin;
pub mod limits;
pub mod registration;
pub mod resource;
pub mod secret;
pub mod service;
pub mod service_limits;
pub mod timestamp;
pub mod transport;

pub use error::{ErrorCode, ServiceError};
pub use ids::{DeviceId, EnrollmentGroupId, HubName, IdScope, OperationId, RegistrationId, TrackingId};
pub use secret::Secret;
pub use timestamp::Timestamp;
pub use transport::Transport;
