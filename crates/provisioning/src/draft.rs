//! Drafting an operation: allocation and the plan for a proven device, or the question to its webhook. Pure.

use usher_allocation::{Decision, candidates, decide};
use usher_attestation::ProvenIdentity;
use usher_domain::{
    ErrorCode, OperationId, ServiceError, Timestamp,
    allocation_question::{Question, Reassign},
    document::RegisterDocument,
    enrollment::{AllocationPolicy, Enrollment, SymmetricKeys},
    hub_device::DeviceSpec,
    registration::{Assignment, Operation, Plan, Registration},
    service::ProvisioningService,
};

use crate::{
    claim::Claim,
    denial::Denial,
    plan::{go, reassign, stay},
    question::question,
    transition::LEASE_MS,
};

/// A device that asks to be provisioned, and everything that is known about it.
pub struct Case<'a> {
    /// The service that it registers with.
    pub service: &'a ProvisioningService,
    /// What governs it.
    pub enrollment: &'a Enrollment,
    /// The ETag of the enrollment's record, where it is needed and known.
    pub enrollment_etag: Option<u64>,
    /// Who it proved to be.
    pub proven: &'a ProvenIdentity,
    /// Its registration from an earlier time.
    pub old: Option<&'a Registration>,
    /// How it came.
    pub claim: &'a Claim,
    /// What it sent.
    pub document: &'a RegisterDocument,
}

impl Case<'_> {
    /// Where the device is.
    pub fn previous(&self) -> Option<&Assignment> {
        self.old.and_then(|old| old.state.assignment())
    }
}

/// Writes down all that is needed to finish a registration, so that any node can. `hub_keys` makes fresh keys for the hub where the
/// device has none of its own to use there.
pub fn draft(case: &Case<'_>, id: OperationId, hub_keys: impl FnOnce() -> SymmetricKeys, now: Timestamp) -> Result<Operation, Denial> {
    let Case { enrollment, proven, .. } = case;
    let device_id = enrollment
        .device_id_for(proven.registration_id())
        .map_err(|why| Denial::open("deviceId", ServiceError::with(ErrorCode::InvalidId, why.to_string())))?;
    let device = DeviceSpec { device_id, credential: proven.hub_credential(hub_keys), iot_edge: enrollment.iot_edge };
    let (plan, question) = match course(case, &device)? {
        Course::Planned(plan) => (Some(plan), None),
        Course::Ask(question) => (None, Some(question)),
    };
    Ok(Operation {
        id,
        started_at: now,
        lease_until: now.plus_millis(LEASE_MS),
        attempts: 1,
        device,
        initial_twin: enrollment.initial_twin.clone().unwrap_or_default(),
        plan,
        question,
    })
}

/// How an operation goes on.
enum Course {
    Planned(Plan),
    Ask(Box<Question>),
}

fn course(case: &Case<'_>, device: &DeviceSpec) -> Result<Course, Denial> {
    let Case { service, enrollment, .. } = case;
    let rule = reassign(enrollment.reprovision, &case.claim.api_version);
    let policy = enrollment.own_allocation().unwrap_or_else(|| service.allocation.clone());
    if let (Some(previous), Reassign::Stay) = (case.previous(), rule)
        && previous.device_id == device.device_id
        && service.hub(&previous.hub).is_some()
    {
        // A webhook is asked even then, with that one hub to choose from: it may have something to tell the device
        // (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-custom-allocation.md, "Implementation details").
        return Ok(match policy {
            AllocationPolicy::Custom(webhook) => Course::Ask(Box::new(question(case, webhook, vec![previous.hub.clone()], rule))),
            _ => Course::Planned(stay(previous)),
        });
    }
    let hubs = candidates(&service.hubs, &enrollment.own_hubs());
    let decision = decide(&policy, &hubs, case.proven.registration_id(), |_| None).map_err(|why| Denial {
        check: format!("allocation.{}", policy.name()),
        detail: why.to_string(),
        mend: "Link a hub to the service, or correct the enrollment's hubs.".into(),
        answer: ServiceError::with(ErrorCode::NoHubAvailable, "No linked hub is available for this device."),
    })?;
    Ok(match decision {
        Decision::Hub(hub) => {
            let former = case.old.map(|old| old.former_hubs.as_slice()).unwrap_or_default();
            Course::Planned(go(case.previous(), former, rule, hub, &device.device_id))
        }
        Decision::AskWebhook { webhook, hubs } => Course::Ask(Box::new(question(case, webhook, hubs, rule))),
    })
}
