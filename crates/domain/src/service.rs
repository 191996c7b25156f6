//! A provisioning service: one tenant, with its ID scope, access policies, linked hubs and allocation policy.

use serde::{Deserialize, Serialize};

use crate::{HubName, IdScope, Secret, enrollment::AllocationPolicy, service_limits::ServiceLimits};

pub use crate::{hub_connection::HubConnection, resource::ResourceMetadata};

/// One provisioning service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProvisioningService {
    /// Its name.
    pub name: String,
    /// The number under which its records are kept. Never reused.
    pub tenant: u32,
    /// What its devices were flashed with.
    pub id_scope: IdScope,
    /// The host name of its service API, as SAS tokens name it.
    pub host_name: String,
    /// Who may use the service API.
    pub policies: Vec<AccessPolicy>,
    /// Where devices can go.
    pub hubs: Vec<LinkedHub>,
    /// How a hub is chosen unless the enrollment says otherwise.
    pub allocation: AllocationPolicy,
    /// What it is as a managed resource. Absent in records of early versions.
    #[serde(default)]
    pub resource: ResourceMetadata,
    /// What it lets happen. Absent in records of early versions.
    #[serde(default)]
    pub limits: ServiceLimits,
}

impl ProvisioningService {
    /// The hub linked under this name.
    pub fn hub(&self, name: &HubName) -> Option<&LinkedHub> {
        self.hubs.iter().find(|hub| hub.name == *name)
    }
}

/// A hub that a service may assign devices to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkedHub {
    /// Its host name, told to devices.
    pub name: HubName,
    /// Its region, for latency.
    pub region: String,
    /// Its share under the hashed policy; 0 takes none.
    pub weight: u32,
    /// Whether the service's allocation policy considers it.
    pub apply_allocation_policy: bool,
    /// How it is reached.
    pub connection: HubConnection,
}

/// A named pair of keys with rights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessPolicy {
    /// For example `provisioningserviceowner`.
    pub name: String,
    /// Base64.
    pub primary: Secret,
    /// Base64.
    pub secondary: Secret,
    /// What its tokens may do.
    pub rights: Vec<Right>,
}

/// A right of a shared access policy (azure-mgmt-iothubprovisioningservices: AccessRightsDescription).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Right {
    /// Change the service's configuration.
    ServiceConfig,
    /// Read enrollments.
    EnrollmentRead,
    /// Change enrollments; implies reading them.
    EnrollmentWrite,
    /// In the cloud's list, used by no operation.
    DeviceConnect,
    /// Read registrations.
    RegistrationStatusRead,
    /// Delete registrations; implies reading them.
    RegistrationStatusWrite,
}

impl Right {
    /// Every right.
    pub const ALL: [Right; 6] = [
        Right::ServiceConfig,
        Right::EnrollmentRead,
        Right::EnrollmentWrite,
        Right::DeviceConnect,
        Right::RegistrationStatusRead,
        Right::RegistrationStatusWrite,
    ];
}

impl AccessPolicy {
    /// Whether its tokens may do what `right` covers. Writing implies reading.
    pub fn allows(&self, right: Right) -> bool {
        self.rights.contains(&right)
            || match right {
                Right::EnrollmentRead => self.rights.contains(&Right::EnrollmentWrite),
                Right::RegistrationStatusRead => self.rights.contains(&Right::RegistrationStatusWrite),
                _ => false,
            }
    }
}
