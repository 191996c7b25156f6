//! What a hub answers when it refuses: one table of name, number, status and words.
//!
//! Names and numbers are IoT Hub's, since SDKs read them (azure-iot-sdk-csharp: iothub/service/src/Common/Exceptions/ErrorCode.cs;
//! azure-iot-sdk-node: common/transport/http/src/rest_api_client.ts maps by status and name).

use std::fmt;

/// Why a hub refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The request breaks a rule of its model.
    ArgumentInvalid,
    /// A bulk request in which at least one item failed.
    BulkRegistryOperationFailure,
    /// No valid token or certificate.
    IotHubUnauthorizedAccess,
    /// The policy lacks the permission.
    IotHubUnauthorized,
    /// The device's queue of cloud-to-device messages is full.
    DeviceMaximumQueueDepthExceeded,
    /// No such device, or it is disabled.
    DeviceNotFound,
    /// Modules are not offered.
    ModuleNotFound,
    /// The device is not connected or does not take methods.
    DeviceNotOnline,
    /// No such path.
    ResourceNotFound,
    /// The path does not take this verb.
    OperationNotAllowedInCurrentState,
    /// The device exists already.
    DeviceAlreadyExists,
    /// Another change came in between more often than the hub repeats.
    ConcurrentChange,
    /// The ETag given is not the record's.
    PreconditionFailed,
    /// The message lock token is unknown or no longer held.
    DeviceMessageLockLost,
    /// The message is larger than the limit.
    MessageTooLarge,
    /// Too many at once.
    ThrottlingException,
    /// A fault of the hub's own.
    ServerError,
    /// The store cannot be reached now.
    ServiceUnavailable,
    /// The device did not answer a method in time.
    GatewayTimeout,
}

impl Code {
    /// The name told in bodies and in the header `iothub-errorcode`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ArgumentInvalid => "ArgumentInvalid",
            Self::BulkRegistryOperationFailure => "BulkRegistryOperationFailure",
            Self::IotHubUnauthorizedAccess => "IotHubUnauthorizedAccess",
            Self::IotHubUnauthorized => "IotHubUnauthorized",
            Self::DeviceMaximumQueueDepthExceeded => "DeviceMaximumQueueDepthExceeded",
            Self::DeviceNotFound => "DeviceNotFound",
            Self::ModuleNotFound => "ModuleNotFound",
            Self::DeviceNotOnline => "DeviceNotOnline",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::OperationNotAllowedInCurrentState => "OperationNotAllowedInCurrentState",
            Self::DeviceAlreadyExists => "DeviceAlreadyExists",
            Self::ConcurrentChange => "ConcurrentChange",
            Self::PreconditionFailed => "PreconditionFailed",
            Self::DeviceMessageLockLost => "DeviceMessageLockLost",
            Self::MessageTooLarge => "MessageTooLarge",
            Self::ThrottlingException => "ThrottlingException",
            Self::ServerError => "ServerError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::GatewayTimeout => "GatewayTimeout",
        }
    }

    /// The six-digit number: the HTTP status times 1000 plus a detail.
    pub const fn number(self) -> u32 {
        match self {
            Self::ArgumentInvalid => 400_004,
            Self::BulkRegistryOperationFailure => 400_013,
            Self::IotHubUnauthorizedAccess => 401_002,
            Self::IotHubUnauthorized => 401_003,
            Self::DeviceMaximumQueueDepthExceeded => 403_004,
            Self::DeviceNotFound => 404_001,
            Self::ResourceNotFound => 404_002,
            Self::ModuleNotFound => 404_010,
            Self::DeviceNotOnline => 404_103,
            Self::OperationNotAllowedInCurrentState => 405_001,
            Self::DeviceAlreadyExists => 409_001,
            Self::ConcurrentChange => 409_002,
            Self::PreconditionFailed => 412_001,
            Self::DeviceMessageLockLost => 412_002,
            Self::MessageTooLarge => 413_001,
            Self::ThrottlingException => 429_001,
            Self::ServerError => 500_001,
            Self::ServiceUnavailable => 503_001,
            Self::GatewayTimeout => 504_101,
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        (self.number() / 1000) as u16
    }
}

/// A refusal with its reason, fit for the client's eyes: it never carries a key or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The table's row.
    pub code: Code,
    /// What happened and what to do. Without `;`, at which clients split.
    pub message: String,
}

impl Fault {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into().replace(';', ",") }
    }

    /// The request breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::ArgumentInvalid, message)
    }

    /// There is no device of this name.
    pub fn no_device(device_id: &str) -> Self {
        Self::new(Code::DeviceNotFound, format!("The device {device_id} is not registered."))
    }

    /// The ETag does not match.
    pub fn precondition() -> Self {
        Self::new(Code::PreconditionFailed, "Precondition failed: Device version did not match, etags do not match.")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Fault {}
