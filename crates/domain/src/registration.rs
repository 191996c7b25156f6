//! A registration: the service's own record of a device, made and changed by registering alone.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    DeviceId, HubName, OperationId, RegistrationId, Secret, Timestamp,
    allocation_question::Question,
    certification::{Certification, HeldCertificate},
    enrollment::{CertificateInfo, EnrollmentRef},
    hub_device::{DeviceSpec, InitialTwin},
};

/// What is kept of a device that has registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// As the device first spelled it.
    pub registration_id: RegistrationId,
    /// The enrollment that admitted it last.
    pub enrollment: EnrollmentRef,
    /// How it proved itself last.
    pub proof: ProofSummary,
    /// First registration.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Hubs that the device was on before, oldest first, at most [`FORMER_HUBS_MAX`].
    pub former_hubs: Vec<HubName>,
    /// Where failed operations may have left the device behind, at most [`STRAYS_MAX`]: removed by the next one that succeeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strays: Vec<Stray>,
    /// What a TPM's answers are sealed with; `None` for devices without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmRegistration>,
    /// The certificate that it was told last; `None` for devices that never sent a signing request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<HeldCertificate>,
    /// Where it stands.
    pub state: State,
}

/// A device that may have been left behind on a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// The hub.
    pub hub: HubName,
    /// The ID there.
    pub device_id: DeviceId,
}

/// A TPM's keys, and the key that it uses at the hub: each final answer carries that key in a blob that only this TPM can open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TpmRegistration {
    /// The endorsement key, TPM2B_PUBLIC in base64.
    pub endorsement_key: String,
    /// The storage root key, TPM2B_PUBLIC in base64.
    pub storage_root_key: String,
    /// The device's primary key at the hub, base64.
    pub hub_key: Secret,
}

/// Strays kept per device. A hub that refuses to let go of one must not keep a device from its new place.
pub const STRAYS_MAX: usize = 8;

/// Former hubs kept per device, to tell a return from a move.
pub const FORMER_HUBS_MAX: usize = 8;

/// How the device proved itself, as far as answers tell it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum ProofSummary {
    /// By a key of its own or one derived from the group's.
    SymmetricKey,
    /// By a certificate.
    X509 {
        /// The leaf.
        leaf: Box<CertificateInfo>,
        /// The enrolled CA that vouched for it (groups).
        signer: Option<Box<CertificateInfo>>,
    },
    /// By its TPM.
    Tpm,
}

/// Where a registration stands. Each stage carries what is true in it, and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "status")]
pub enum State {
    /// Accepted; the hub has yet to be set up.
    Assigning {
        /// The work under way.
        operation: Box<Operation>,
        /// Where the device was before.
        previous: Option<Assignment>,
    },
    /// The device is on its hub.
    Assigned {
        /// The operation that brought it there.
        operation_id: OperationId,
        /// Where it is.
        assignment: Assignment,
        /// How it came there.
        substatus: Substatus,
    },
    /// The operation ended without an assignment.
    Failed {
        /// The operation that failed.
        operation_id: OperationId,
        /// A code of the error table.
        error_code: u32,
        /// Why.
        error_message: String,
        /// Where the device still is.
        previous: Option<Assignment>,
    },
    /// Refused, since its enrollment is disabled.
    Disabled {
        /// The refused operation.
        operation_id: OperationId,
        /// Where the device still is.
        previous: Option<Assignment>,
    },
}

impl State {
    /// The operation that led here or is under way.
    pub fn operation_id(&self) -> &OperationId {
        match self {
            Self::Assigning { operation, .. } => &operation.id,
            Self::Assigned { operation_id, .. } | Self::Failed { operation_id, .. } | Self::Disabled { operation_id, .. } => operation_id,
        }
    }

    /// Where the device is or was last.
    pub fn assignment(&self) -> Option<&Assignment> {
        match self {
            Self::Assigned { assignment, .. } => Some(assignment),
            Self::Assigning { previous, .. } | Self::Failed { previous, .. } | Self::Disabled { previous, .. } => previous.as_ref(),
        }
    }

    /// The lower-case word on the wire. Never `unassigned` while running: the C SDK takes that for a TPM challenge
    /// (azure-iot-sdk-c: prov_device_ll_client.c).
    pub fn word(&self) -> &'static str {
        match self {
            Self::Assigning { .. } => "assigning",
            Self::Assigned { .. } => "assigned",
            Self::Failed { .. } => "failed",
            Self::Disabled { .. } => "disabled",
        }
    }
}

/// A device's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The hub.
    pub hub: HubName,
    /// The ID there.
    pub device_id: DeviceId,
    /// Data that the custom allocation webhook sent for the device.
    pub payload: Option<Value>,
}

/// How an assignment came about (azure-rest-api-specs: InitialAssignmentSubstatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// For the first time, or again in the same place.
    InitialAssignment,
    /// On a new hub, with the twin carried over.
    DeviceDataMigrated,
    /// On a new hub, or the same, with the initial twin.
    DeviceDataReset,
    /// Back on a hub where it was before.
    ReprovisionedToInitialAssignment,
}

impl Substatus {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::InitialAssignment => "initialAssignment",
            Self::DeviceDataMigrated => "deviceDataMigrated",
            Self::DeviceDataReset => "deviceDataReset",
            Self::ReprovisionedToInitialAssignment => "reprovisionedToInitialAssignment",
        }
    }
}

/// Accepted work: everything that a node needs to finish it, so that any node can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name, constant until it settles.
    pub id: OperationId,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// Until when its node is presumed alive; afterwards any node may take it over.
    pub lease_until: Timestamp,
    /// Attempts so far.
    pub attempts: u32,
    /// The device to make.
    pub device: DeviceSpec,
    /// The twin for a device that is new or reset.
    pub initial_twin: InitialTwin,
    /// The hub and what happens to data; `None` until a webhook has chosen.
    pub plan: Option<Plan>,
    /// What the webhook is asked, until it has chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<Question>>,
    /// The certificate that the device asked for, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certification: Option<Box<Certification>>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the device goes.
    pub hub: HubName,
    /// What happens to its data.
    pub data: DataPlan,
    /// Goes into the assignment.
    pub payload: Option<Value>,
    /// How the result will be described.
    pub substatus: Substatus,
}

/// What happens to a device's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DataPlan {
    /// Make the device where it is missing, with the initial twin; leave an existing twin alone.
    Keep,
    /// Make the device and set the initial twin whatever was there.
    Reset,
    /// Carry the twin from this hub, then remove the device there.
    Migrate {
        /// The hub that it leaves.
        from: HubName,
        /// Its ID there.
        device_id: DeviceId,
    },
    /// Set the initial twin on the new hub, then remove the device from this one.
    Replace {
        /// The hub that it leaves.
        from: HubName,
        /// Its ID there.
        device_id: DeviceId,
    },
}
