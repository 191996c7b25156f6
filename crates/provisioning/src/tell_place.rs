//! Where a device goes and why, in sentences. Describes what `draft` decided.

use usher_allocation::{Decision, NoHub, lots, nearest};
use usher_domain::{
    HubName, RegistrationId,
    allocation_question::Reassign,
    attempt::Trail,
    enrollment::{AllocationPolicy, Enrollment},
    registration::{Assignment, DataPlan, Plan},
    service::LinkedHub,
};
use usher_latency::Figure;

/// Hubs that are told one by one, the best first.
const TOLD_MAX: usize = 8;

/// All that a decision was made of.
pub struct Choice<'a> {
    pub enrollment: &'a Enrollment,
    pub policy: &'a AllocationPolicy,
    pub hubs: &'a [&'a LinkedHub],
    pub figures: &'a [Option<Figure>],
    pub registration_id: &'a RegistrationId,
    pub decision: &'a Result<Decision, NoHub>,
}

/// The rule for devices that register again.
pub fn rule(trail: &mut Trail, previous: Option<&Assignment>, enrollment: &Enrollment, rule: Reassign) {
    let Some(previous) = previous else {
        return trail.passed("reprovision", "The device registers for the first time.");
    };
    let by = if enrollment.reprovision.is_some() { "its enrollment" } else { "its API version and the default" };
    let what = match rule {
        Reassign::Stay => "it stays on its hub",
        Reassign::Migrate => "its hub is chosen anew and its twin goes along",
        Reassign::Reset => "its hub is chosen anew and its twin is reset",
    };
    trail.passed("reprovision", format!("The device was on {} as '{}'; by {by} {what}.", previous.hub, previous.device_id));
}

/// The policy, the hubs to choose from, and the choice. The reason why there is none is told by whoever turns the device away.
pub fn choice(trail: &mut Trail, choice: &Choice<'_>) {
    let whose = if choice.enrollment.own_allocation().is_some() { "The enrollment's" } else { "The service's" };
    let from = if choice.enrollment.own_hubs().is_empty() { "all linked hubs" } else { "the enrollment's hubs" };
    let (policy, count) = (choice.policy.name(), choice.hubs.len());
    trail.passed("allocation.policy", format!("{whose} policy is {policy}; {count} of {from} can be chosen."));
    match choice.policy {
        AllocationPolicy::GeoLatency => figures(trail, choice),
        AllocationPolicy::Hashed => weights(trail, choice.hubs, choice.registration_id),
        AllocationPolicy::Static | AllocationPolicy::Custom(_) => {}
    }
    match choice.decision {
        Ok(Decision::Hub(hub)) => trail.passed("allocation", format!("{hub} was chosen: {}.", reason(choice, hub))),
        Ok(Decision::AskWebhook { hubs, .. }) => trail.passed("allocation", format!("The webhook is to choose among {} hubs.", hubs.len())),
        Err(_) => {}
    }
}

fn figures(trail: &mut Trail, choice: &Choice<'_>) {
    let mut known: Vec<(&&LinkedHub, Option<&Figure>)> =
        choice.hubs.iter().zip(choice.figures.iter().map(Option::as_ref).chain(std::iter::repeat(None))).collect();
    known.sort_by_key(|(_, figure)| figure.map_or(u32::MAX, |figure| figure.latency.ms));
    for (hub, figure) in known.into_iter().take(TOLD_MAX) {
        match figure {
            Some(figure) => trail.passed("allocation.latency", format!("{}: {} ms ({}).", hub.name, figure.latency.ms, figure.origin)),
            None => trail.passed("allocation.latency", format!("{}: nothing is known of the way there.", hub.name)),
        }
    }
}

fn weights(trail: &mut Trail, hubs: &[&LinkedHub], registration_id: &RegistrationId) {
    let mut drawn = lots(hubs, registration_id);
    drawn.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    for (hub, lot) in drawn.into_iter().take(TOLD_MAX) {
        trail.passed("allocation.lot", format!("{}: weight {}, lot {lot:.3}.", hub.name, hub.weight));
    }
}

fn reason(choice: &Choice<'_>, chosen: &HubName) -> String {
    match choice.policy {
        AllocationPolicy::Static => "it is the first that the enrollment names".into(),
        AllocationPolicy::Hashed => "it drew the highest lot for this registration ID".into(),
        AllocationPolicy::Custom(_) => "the webhook chose it".into(),
        AllocationPolicy::GeoLatency => {
            let latency = |hub: &LinkedHub| {
                let place = choice.hubs.iter().position(|candidate| candidate.name == hub.name)?;
                choice.figures.get(place)?.as_ref().map(|figure| figure.latency)
            };
            let near = nearest(choice.hubs, latency);
            let known = near.iter().any(|hub| latency(hub).is_some());
            match (known, near.len()) {
                (false, _) => format!("no way is known, and of all {} it drew the highest lot", near.len()),
                (true, 1) => "it is the nearest".into(),
                (true, ties) => {
                    let measured =
                        near.iter().find(|hub| hub.name == *chosen).and_then(|hub| latency(hub)).is_some_and(|l| l.margin_ms > 0);
                    let within = if measured { ", within what a measurement may be off," } else { "" };
                    format!("of the {ties} nearest, which tie{within} it drew the highest lot")
                }
            }
        }
    }
}

/// What the plan does with the device's data.
pub fn plan(trail: &mut Trail, plan: &Plan) {
    let hub = &plan.hub;
    let what = match &plan.data {
        DataPlan::Keep => format!("The device is to be on {hub}: made there with the initial twin, or left as it is."),
        DataPlan::Reset => format!("The device stays on {hub}, its twin reset to the initial one."),
        DataPlan::Migrate { from, .. } => format!("The device moves from {from} to {hub} and takes its twin along."),
        DataPlan::Replace { from, .. } => format!("The device moves from {from} to {hub} and gets the initial twin."),
    };
    trail.passed("plan", what);
}
