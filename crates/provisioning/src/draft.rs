//! Drafting an operation: allocation and the plan for a proven device. Pure.

use usher_allocation::{Decision, Latency, candidates, decide};
use usher_attestation::ProvenIdentity;
use usher_domain::{
    ErrorCode, OperationId, ServiceError, Timestamp,
    attempt::Trail,
    document::RegisterDocument,
    enrollment::{AllocationPolicy, Enrollment, SymmetricKeys},
    hub_device::DeviceSpec,
    registration::{Operation, Plan, Registration},
    service::{LinkedHub, ProvisioningService},
};
use usher_latency::{Figure, LatencyMap};

use crate::{
    claim::Claim,
    denial::Denial,
    plan::{Reassign, go, reassign, stay},
    tell_place::{self, Choice},
    transition::LEASE_MS,
};

/// Writes down all that is needed to finish a registration, so that any node can. `hub_keys` makes fresh keys for the hub where the
/// device has none of its own to use there.
#[expect(clippy::too_many_arguments, reason = "each is a different noun, and a struct of them would have one use")]
pub fn draft(
    service: &ProvisioningService,
    enrollment: &Enrollment,
    proven: &ProvenIdentity,
    old: Option<&Registration>,
    claim: &Claim,
    document: &RegisterDocument,
    latency: &LatencyMap,
    trail: &mut Trail,
    id: OperationId,
    hub_keys: impl FnOnce() -> SymmetricKeys,
    now: Timestamp,
) -> Result<Operation, Denial> {
    let device_id = enrollment
        .device_id_for(proven.registration_id())
        .map_err(|why| Denial::open("deviceId", ServiceError::with(ErrorCode::InvalidId, why.to_string())))?;
    let device = DeviceSpec { device_id, credential: proven.hub_credential(hub_keys), iot_edge: enrollment.iot_edge };
    let plan = plan_for(service, enrollment, proven, old, claim, latency, &device, trail)?;
    Ok(Operation {
        id,
        started_at: now,
        lease_until: now.plus_millis(LEASE_MS),
        attempts: 1,
        device,
        initial_twin: enrollment.initial_twin.clone().unwrap_or_default(),
        plan,
        payload: document.payload.clone(),
    })
}

#[expect(clippy::too_many_arguments, reason = "as above")]
fn plan_for(
    service: &ProvisioningService,
    enrollment: &Enrollment,
    proven: &ProvenIdentity,
    old: Option<&Registration>,
    claim: &Claim,
    latency: &LatencyMap,
    device: &DeviceSpec,
    trail: &mut Trail,
) -> Result<Option<Plan>, Denial> {
    let previous = old.and_then(|old| old.state.assignment());
    let rule = reassign(enrollment.reprovision, &claim.api_version);
    tell_place::rule(trail, previous, enrollment, rule);
    if let (Some(previous), Reassign::Stay) = (previous, rule)
        && previous.device_id == device.device_id
        && service.hub(&previous.hub).is_some()
    {
        return Ok(Some(stay(previous)));
    }
    let policy = enrollment.own_allocation().unwrap_or_else(|| service.allocation.clone());
    let hubs = candidates(&service.hubs, &enrollment.own_hubs());
    let figures = figures(latency, &policy, &hubs, claim);
    let decision = decide(&policy, &hubs, proven.registration_id(), |hub| latency_to(hub, &hubs, &figures));
    let registration_id = proven.registration_id();
    let told = Choice { enrollment, policy: &policy, hubs: &hubs, figures: &figures, registration_id, decision: &decision };
    tell_place::choice(trail, &told);
    let decision = decision.map_err(|why| Denial {
        check: format!("allocation.{}", policy.name()),
        detail: why.to_string(),
        mend: "Link a hub to the service, or correct the enrollment's hubs.".into(),
        answer: ServiceError::with(ErrorCode::NoHubAvailable, "No linked hub is available for this device."),
    })?;
    let former = old.map(|old| old.former_hubs.as_slice()).unwrap_or_default();
    match decision {
        Decision::Hub(hub) => {
            let plan = go(previous, former, rule, hub, &device.device_id);
            tell_place::plan(trail, &plan);
            Ok(Some(plan))
        }
        Decision::AskWebhook(_) => Ok(None),
    }
}

/// The latency of each hub, where the policy goes by it.
fn figures(latency: &LatencyMap, policy: &AllocationPolicy, hubs: &[&LinkedHub], claim: &Claim) -> Vec<Option<Figure>> {
    if *policy == AllocationPolicy::GeoLatency { latency.figures(hubs, claim.peer) } else { Vec::new() }
}

fn latency_to(hub: &LinkedHub, hubs: &[&LinkedHub], figures: &[Option<Figure>]) -> Option<Latency> {
    let place = hubs.iter().position(|candidate| candidate.name == hub.name)?;
    figures.get(place)?.as_ref().map(|figure| figure.latency)
}
