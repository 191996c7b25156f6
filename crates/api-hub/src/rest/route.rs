//! The table of paths and verbs, and the permission that each needs.

use http::Method;
use usher_domain::DeviceId;
use usher_hub_embedded::{Code, Fault, policy::Permission};

use crate::property_bag::unescape;

/// First segments of a hub's paths.
pub const COLLECTIONS: &[&str] = &["devices", "twins", "statistics", "messages", "configurations", "jobs", "digitaltwins", "usher"];

/// A path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// `/devices`
    Devices,
    /// `/devices/query`
    Query,
    /// `/devices/{id}`
    Device(DeviceId),
    /// `/devices/{id}/modules`
    Modules(DeviceId),
    /// `/devices/{id}/commands`: the queue of messages to the device.
    Commands(DeviceId),
    /// `/devices/{id}/messages/events`, used by devices.
    Events(DeviceId),
    /// `/devices/{id}/messages/deviceBound`
    DeviceBound(DeviceId),
    /// `/twins/{id}`
    Twin(DeviceId),
    /// `/twins/{id}/methods`
    Methods(DeviceId),
    /// `/messages/deviceBound`
    MessagesDeviceBound,
    /// `/statistics/devices`
    DeviceStatistics,
    /// `/statistics/service`
    ServiceStatistics,
    /// `/configurations`
    Configurations,
    /// `/usher/telemetry`: usher's own.
    Telemetry,
    /// `/usher/certificates`: usher's own.
    Authorities,
    /// `/usher/certificates/{name}`: usher's own.
    Authority(String),
}

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    ListDevices,
    BulkDevices,
    GetDevice,
    PutDevice,
    DeleteDevice,
    ListModules,
    GetTwin,
    PatchTwin,
    PutTwin,
    CallMethod,
    Query,
    DeviceStatistics,
    ServiceStatistics,
    SendByHeader,
    SendToDevice,
    PurgeMessages,
    SendEvent,
    ListConfigurations,
    ReadTelemetry,
    ListAuthorities,
    PutAuthority,
    DeleteAuthority,
}

impl Verb {
    /// The permission that a policy needs for it; `None` for what devices do with their own credentials.
    pub const fn permission(self) -> Option<Permission> {
        Some(match self {
            Self::SendEvent => return None,
            Self::ListDevices
            | Self::GetDevice
            | Self::ListModules
            | Self::DeviceStatistics
            | Self::ListConfigurations
            | Self::ListAuthorities => Permission::RegistryRead,
            Self::BulkDevices | Self::PutDevice | Self::DeleteDevice => Permission::RegistryWrite,
            Self::PutAuthority | Self::DeleteAuthority => Permission::RegistryWrite,
            Self::GetTwin | Self::PatchTwin | Self::PutTwin | Self::CallMethod | Self::Query => Permission::ServiceConnect,
            Self::ServiceStatistics | Self::SendByHeader | Self::SendToDevice | Self::PurgeMessages | Self::ReadTelemetry => {
                Permission::ServiceConnect
            }
        })
    }
}

impl Route {
    /// Reads a path. Names of collections are compared without case, as IoT Hub does.
    pub fn parse(path: &str) -> Result<Self, Fault> {
        let raw: Vec<&str> = path.trim_matches('/').split('/').collect();
        let folded: Vec<String> = raw.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
        let id = || device_id(raw.get(1).copied().unwrap_or_default());
        Ok(match folded.as_slice() {
            ["devices"] => Self::Devices,
            ["devices", "query"] => Self::Query,
            ["devices", _] => Self::Device(id()?),
            ["devices", _, "modules"] => Self::Modules(id()?),
            ["devices", _, "commands"] => Self::Commands(id()?),
            ["devices", _, "messages", "events"] => Self::Events(id()?),
            ["devices", _, "messages", "devicebound"] => Self::DeviceBound(id()?),
            ["twins", _] => Self::Twin(id()?),
            ["twins", _, "methods"] => Self::Methods(id()?),
            ["devices" | "twins", _, "modules", ..] => {
                return Err(Fault::new(Code::ModuleNotFound, "Modules are not offered by this hub."));
            }
            ["messages", "devicebound"] => Self::MessagesDeviceBound,
            ["statistics", "devices"] => Self::DeviceStatistics,
            ["statistics", "service"] => Self::ServiceStatistics,
            ["configurations"] => Self::Configurations,
            ["usher", "telemetry"] => Self::Telemetry,
            ["usher", "certificates"] => Self::Authorities,
            ["usher", "certificates", _] => Self::Authority(unescape(raw.get(2).copied().unwrap_or_default())?),
            _ => return Err(Fault::new(Code::ResourceNotFound, "There is no such path on this hub.")),
        })
    }

    /// What a method does here; `None` where it is not allowed.
    pub fn verb(&self, method: &Method) -> Option<Verb> {
        self.verbs().iter().find(|(name, _)| *name == method.as_str()).map(|(_, verb)| *verb)
    }

    /// The methods that the path takes.
    pub fn allowed(&self) -> Vec<&'static str> {
        self.verbs().iter().map(|(name, _)| *name).collect()
    }

    fn verbs(&self) -> &'static [(&'static str, Verb)] {
        match self {
            Self::Devices => &[("GET", Verb::ListDevices), ("POST", Verb::BulkDevices)],
            Self::Query => &[("POST", Verb::Query)],
            Self::Device(_) => &[("GET", Verb::GetDevice), ("PUT", Verb::PutDevice), ("DELETE", Verb::DeleteDevice)],
            Self::Modules(_) => &[("GET", Verb::ListModules)],
            Self::Commands(_) => &[("DELETE", Verb::PurgeMessages)],
            Self::Events(_) => &[("POST", Verb::SendEvent)],
            Self::DeviceBound(_) => &[("POST", Verb::SendToDevice)],
            Self::Twin(_) => &[("GET", Verb::GetTwin), ("PATCH", Verb::PatchTwin), ("PUT", Verb::PutTwin)],
            Self::Methods(_) => &[("POST", Verb::CallMethod)],
            Self::MessagesDeviceBound => &[("POST", Verb::SendByHeader)],
            Self::DeviceStatistics => &[("GET", Verb::DeviceStatistics)],
            Self::ServiceStatistics => &[("GET", Verb::ServiceStatistics)],
            Self::Configurations => &[("GET", Verb::ListConfigurations)],
            Self::Telemetry => &[("GET", Verb::ReadTelemetry)],
            Self::Authorities => &[("GET", Verb::ListAuthorities)],
            Self::Authority(_) => &[("PUT", Verb::PutAuthority), ("DELETE", Verb::DeleteAuthority)],
        }
    }
}

fn device_id(segment: &str) -> Result<DeviceId, Fault> {
    DeviceId::parse(&unescape(segment)?).map_err(|error| Fault::invalid(error.0))
}
