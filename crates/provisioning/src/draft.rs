//! Drafting an operation: allocation and the plan for a proven device, or the question to its webhook. Pure.

use usher_allocation::{Decision, Latency, candidates, decide};
use usher_attestation::ProvenIdentity;
use usher_domain::{
    ErrorCode, OperationId, ServiceError, Timestamp,
    allocation_question::{Question, Reassign},
    attempt::Trail,
    document::RegisterDocument,
    enrollment::{AllocationPolicy, Enrollment, SymmetricKeys},
    hub_device::DeviceSpec,
    registration::{Assignment, Operation, Plan, Registration},
    service::{LinkedHub, ProvisioningService},
};
use usher_latency::{Figure, LatencyMap};

use crate::{
    claim::Claim,
    denial::Denial,
    plan::{go, reassign, stay},
    question::question,
    tell_place::{self, Choice},
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
    /// What is known of the way from the device to the hubs.
    pub latency: &'a LatencyMap,
}

impl Case<'_> {
    /// Where the device is.
    pub fn previous(&self) -> Option<&Assignment> {
        self.old.and_then(|old| old.state.assignment())
    }
}

/// Writes down all that is needed to finish a registration, so that any node can. `hub_keys` makes fresh keys for the hub where the
/// device has none of its own to use there. What was weighed goes into the trail.
pub fn draft(
    case: &Case<'_>,
    id: OperationId,
    hub_keys: impl FnOnce() -> SymmetricKeys,
    now: Timestamp,
    trail: &mut Trail,
) -> Result<Operation, Denial> {
    let Case { enrollment, proven, .. } = case;
    let device_id = enrollment
        .device_id_for(proven.registration_id())
        .map_err(|why| Denial::open("deviceId", ServiceError::with(ErrorCode::InvalidId, why.to_string())))?;
    let device = DeviceSpec { device_id, credential: proven.hub_credential(hub_keys), iot_edge: enrollment.iot_edge };
    let (plan, question) = match course(case, &device, trail)? {
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
        certification: None,
    })
}

/// How an operation goes on.
enum Course {
    Planned(Plan),
    Ask(Box<Question>),
}

fn course(case: &Case<'_>, device: &DeviceSpec, trail: &mut Trail) -> Result<Course, Denial> {
    let Case { service, enrollment, .. } = case;
    let rule = reassign(enrollment.reprovision, &case.claim.api_version);
    tell_place::rule(trail, case.previous(), enrollment, rule);
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
    let figures = figures(case, &policy, &hubs);
    let registration_id = case.proven.registration_id();
    let decision = decide(&policy, &hubs, registration_id, |hub| latency_to(hub, &hubs, &figures));
    let told = Choice { enrollment, policy: &policy, hubs: &hubs, figures: &figures, registration_id, decision: &decision };
    tell_place::choice(trail, &told);
    let decision = decision.map_err(|why| Denial {
        check: format!("allocation.{}", policy.name()),
        detail: why.to_string(),
        mend: "Link a hub to the service, or correct the enrollment's hubs.".into(),
        answer: ServiceError::with(ErrorCode::NoHubAvailable, "No linked hub is available for this device."),
    })?;
    Ok(match decision {
        Decision::Hub(hub) => {
            let former = case.old.map(|old| old.former_hubs.as_slice()).unwrap_or_default();
            let plan = go(case.previous(), former, rule, hub, &device.device_id);
            tell_place::plan(trail, &plan);
            Course::Planned(plan)
        }
        Decision::AskWebhook { webhook, hubs } => Course::Ask(Box::new(question(case, webhook, hubs, rule))),
    })
}

/// The latency of each hub, where the policy goes by it.
fn figures(case: &Case<'_>, policy: &AllocationPolicy, hubs: &[&LinkedHub]) -> Vec<Option<Figure>> {
    if *policy == AllocationPolicy::GeoLatency { case.latency.figures(hubs, case.claim.peer) } else { Vec::new() }
}

fn latency_to(hub: &LinkedHub, hubs: &[&LinkedHub], figures: &[Option<Figure>]) -> Option<Latency> {
    let place = hubs.iter().position(|candidate| candidate.name == hub.name)?;
    figures.get(place)?.as_ref().map(|figure| figure.latency)
}
