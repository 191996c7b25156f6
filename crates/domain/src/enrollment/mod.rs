//! Enrollments: what an operator says beforehand about a device or a group of devices.

mod attestation;
mod policy;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use attestation::{
    Attestation, CaReferences, CertificateInfo, CertificatePair, StoredCertificate, SymmetricKeys, TpmKeys, X509Attestation,
};
pub use policy::{AllocationPolicy, CustomAllocation, ProvisioningStatus, ReprovisionPolicy};

use crate::{DeviceId, EnrollmentGroupId, HubName, RegistrationId, Timestamp, hub_device::InitialTwin};

/// An enrollment as usher keeps it, individual or group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrollment {
    /// Which devices it is for.
    pub subject: Subject,
    /// How they prove themselves.
    pub attestation: Attestation,
    /// Whether it admits devices.
    pub status: ProvisioningStatus,
    /// What happens to a device that registers again. `None` is not the same as the default: devices that speak an API version of
    /// 2018-04-01 or older then stay on their hub (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-device-reprovision.md).
    pub reprovision: Option<ReprovisionPolicy>,
    /// Overrides the service's allocation policy.
    pub allocation: Option<AllocationPolicy>,
    /// The hubs that may be chosen; all linked hubs where empty.
    pub hubs: Vec<HubName>,
    /// The legacy way to name a static hub; returned unchanged.
    pub iot_hub_host_name: Option<HubName>,
    /// Set on the hub when the device is first made there.
    pub initial_twin: Option<InitialTwin>,
    /// The policy under which its devices are issued certificates, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_policy: Option<String>,
    /// Whether devices are IoT Edge devices.
    pub iot_edge: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which devices an enrollment is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Subject {
    /// One device.
    Individual {
        /// Its registration ID.
        registration_id: RegistrationId,
        /// Its ID on the hub, where it differs from the registration ID.
        device_id: Option<DeviceId>,
        /// Free-form text about the device, kept and returned.
        device_information: Option<Value>,
    },
    /// Every device that the attestation admits.
    Group {
        /// The group's ID.
        group_id: EnrollmentGroupId,
    },
}

/// Names the enrollment that a registration came by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnrollmentRef {
    /// The individual enrollment of the same registration ID.
    Individual,
    /// A group.
    Group(EnrollmentGroupId),
}

impl Enrollment {
    /// The name by which registrations refer to it.
    pub fn reference(&self) -> EnrollmentRef {
        match &self.subject {
            Subject::Individual { .. } => EnrollmentRef::Individual,
            Subject::Group { group_id } => EnrollmentRef::Group(group_id.clone()),
        }
    }

    /// The policy to use for this enrollment where it has one of its own. A legacy `iotHubHostName` alone means static.
    pub fn own_allocation(&self) -> Option<AllocationPolicy> {
        match (&self.allocation, &self.iot_hub_host_name) {
            (Some(policy), _) => Some(policy.clone()),
            (None, Some(_)) => Some(AllocationPolicy::Static),
            (None, None) => None,
        }
    }

    /// The hubs it restricts devices to; empty where it does not.
    pub fn own_hubs(&self) -> Vec<HubName> {
        match &self.iot_hub_host_name {
            Some(hub) if self.hubs.is_empty() => vec![hub.clone()],
            _ => self.hubs.clone(),
        }
    }

    /// The device's ID on the hub.
    pub fn device_id_for(&self, registration_id: &RegistrationId) -> Result<DeviceId, crate::ids::InvalidId> {
        match &self.subject {
            Subject::Individual { device_id: Some(id), .. } => Ok(id.clone()),
            _ => DeviceId::parse(registration_id.as_str()),
        }
    }
}
