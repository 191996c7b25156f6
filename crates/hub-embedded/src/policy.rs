//! The hub's shared access policies: named pairs of keys with permissions (MicrosoftDocs/azure-docs: articles/iot-hub/
//! authenticate-authorize-sas.md, "Access control and permissions").

use serde::{Deserialize, Serialize};
use usher_domain::Secret;

/// What a policy's tokens may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Permission {
    /// Read identities, keys included.
    RegistryRead,
    /// Change identities; implies reading them.
    RegistryWrite,
    /// Twins, methods, cloud-to-device messages, telemetry.
    ServiceConnect,
    /// Act as a device.
    DeviceConnect,
}

/// A named pair of keys with permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubPolicy {
    /// For example `iothubowner`.
    pub name: String,
    /// Base64.
    pub primary: Secret,
    /// Base64.
    pub secondary: Secret,
    /// What its tokens may do.
    pub permissions: Vec<Permission>,
}

impl HubPolicy {
    /// Whether its tokens may do what `permission` covers.
    pub fn allows(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
            || (permission == Permission::RegistryRead && self.permissions.contains(&Permission::RegistryWrite))
    }

    /// The connection string of this policy on a hub.
    pub fn connection_string(&self, host_name: &str) -> Secret {
        Secret::new(format!("HostName={host_name};SharedAccessKeyName={};SharedAccessKey={}", self.name, self.primary.expose()))
    }

    /// The policies that every hub starts with, as IoT Hub's do.
    pub fn initial(mut new_key: impl FnMut() -> Secret) -> Vec<Self> {
        use Permission::{DeviceConnect, RegistryRead, RegistryWrite, ServiceConnect};
        let rows: [(&str, &[Permission]); 5] = [
            ("iothubowner", &[RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect]),
            ("service", &[ServiceConnect]),
            ("device", &[DeviceConnect]),
            ("registryRead", &[RegistryRead]),
            ("registryReadWrite", &[RegistryRead, RegistryWrite]),
        ];
        let mut policy = |(name, permissions): (&str, &[Permission])| Self {
            name: name.to_owned(),
            primary: new_key(),
            secondary: new_key(),
            permissions: permissions.to_vec(),
        };
        rows.map(&mut policy).into()
    }
}
