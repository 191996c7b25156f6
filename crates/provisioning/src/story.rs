//! The story of one attempt while it goes on: who came, what was checked, how it ended.

use std::net::IpAddr;

use usher_domain::{
    HubName, IdScope, RegistrationId, Timestamp, TrackingId,
    attempt::{Attempt, AttemptResult, Outcome, Trail},
    registration::{Registration, State},
};

use usher_registry::{Registry, Tenant};

use crate::{ask::Decided, certify::Certified, claim::Claim, denial::Denial, tell_place};

/// An attempt under way. It goes along with the work, from hand to hand.
#[derive(Clone)]
pub struct Story {
    /// The checks so far.
    pub trail: Trail,
    /// Whether the service knows the device: it is enrolled, has registered, or proved itself. Others' stories get less room.
    pub known: bool,
    /// Where it is kept: the service's records, once the ID scope has named one.
    pub registry: Option<Registry>,
    /// What the device asked for.
    pub request: &'static str,
    began: Timestamp,
    tracking_id: TrackingId,
    registration_id: RegistrationId,
    id_scope: IdScope,
    transport: &'static str,
    peer: Option<IpAddr>,
    api_version: String,
}

impl Story {
    /// The story of a request.
    pub fn of(claim: &Claim, request: &'static str, now: Timestamp) -> Self {
        Self {
            trail: Trail::default(),
            known: false,
            registry: None,
            began: now,
            tracking_id: claim.tracking_id.clone(),
            registration_id: claim.claimed_id.clone(),
            id_scope: claim.id_scope.clone(),
            request,
            transport: claim.transport.name(),
            peer: claim.peer.map(|peer| peer.to_canonical()),
            api_version: claim.api_version.clone(),
        }
    }

    /// The story of an operation that this node goes on with for another, with no device waiting here.
    pub fn of_take_over(tenant: &Tenant, registration_id: &RegistrationId, tracking_id: TrackingId, now: Timestamp) -> Self {
        let mut trail = Trail::default();
        trail.passed("takeOver", "The node that began this operation did not end it in time; this one goes on with it.");
        Self {
            trail,
            known: true,
            registry: Some(tenant.registry.clone()),
            began: now,
            tracking_id,
            registration_id: registration_id.clone(),
            id_scope: tenant.service.id_scope.clone(),
            request: "take-over",
            transport: "",
            peer: None,
            api_version: String::new(),
        }
    }

    /// The service that the ID scope names was found, or there is none.
    pub fn came_to(&mut self, tenant: Option<&Tenant>) {
        if let Some(tenant) = tenant {
            self.trail.passed("idScope", format!("The ID scope {} is that of the service '{}'.", self.id_scope, tenant.service.name));
            self.registry = Some(tenant.registry.clone());
        }
    }

    /// A challenge went out.
    pub fn challenged(&mut self) {
        self.known = true;
        self.trail.passed("enrollment", "There is an individual enrollment of this registration ID; it demands tpm attestation.");
        self.trail.passed("tpm.keys", "The TPM's endorsement key is the enrolled one.");
        self.trail.passed("tpm.challenge", "A challenge was made that only this TPM can open.");
    }

    /// A hub was asked to do its part, for the `number`th time; `failure` says why it did not.
    pub fn hub_asked(&mut self, hub: &HubName, number: u32, failure: Option<&str>, from: Timestamp, to: Timestamp) {
        let ms = to.micros().saturating_sub(from.micros()) / 1_000;
        match failure {
            None => self.trail.passed("hub", format!("{hub} has the device (attempt {number}, {ms} ms).")),
            Some(why) => self.trail.failed("hub", format!("Attempt {number} at {hub} failed after {ms} ms: {why}")),
        }
    }

    /// The webhook of the allocation policy was asked, with this outcome.
    pub fn webhook_asked(&mut self, decided: &Decided) {
        let (registration, failed) = match decided {
            Decided::GoOn(record) | Decided::Wait(record, _) | Decided::NotHere(Some(record)) => (&record.value, false),
            Decided::Failed(registration) => (registration, true),
            Decided::NotHere(None) => return,
        };
        match &registration.state {
            State::Assigning { operation, .. } => match &operation.plan {
                Some(plan) => {
                    self.trail.passed("webhook", format!("The webhook chose {}.", plan.hub));
                    tell_place::plan(&mut self.trail, plan);
                }
                None => self.trail.failed("webhook", "The webhook did not decide; it is asked again."),
            },
            State::Failed { error_message, .. } if failed => self.trail.failed("webhook", error_message.clone()),
            _ => {}
        }
    }

    /// The certificate authority was asked, with this outcome.
    pub fn authority_asked(&mut self, certified: &Certified) {
        match certified {
            Certified::GoOn(_) => self.trail.passed("certificate", "The certificate is issued and saved with the operation."),
            Certified::Wait { why, .. } => self.trail.failed("certificate", format!("{why} It is asked again.")),
            Certified::Failed(_, why) => self.trail.failed("certificate", why.clone()),
            Certified::NotHere => {}
        }
    }

    /// The attempt as it stands, with this outcome.
    pub fn told(&self, outcome: Outcome, now: Timestamp) -> Attempt {
        let took_us = now.micros().saturating_sub(self.began.micros());
        Attempt {
            at: self.began,
            took_ms: u64::try_from(took_us / 1_000).unwrap_or_default(),
            tracking_id: self.tracking_id.clone(),
            registration_id: self.registration_id.clone(),
            id_scope: self.id_scope.clone(),
            request: self.request.to_owned(),
            transport: self.transport.to_owned(),
            peer: self.peer,
            api_version: self.api_version.chars().take(API_VERSION_CHARS_MAX).collect(),
            outcome,
            checks: self.trail.checks().to_vec(),
        }
    }
}

/// Longest API version kept, in characters: a device may send anything.
const API_VERSION_CHARS_MAX: usize = 32;

/// The outcome of a challenge.
pub fn challenged() -> Outcome {
    let next = "Nothing, if the device comes back with a token. Otherwise its TPM could not open the challenge: see the device's log.";
    Outcome { result: AttemptResult::Challenged, next: Some(next.into()), ..Outcome::default() }
}

/// The outcome that a registration's state stands for.
pub fn outcome_of(registration: &Registration) -> Outcome {
    let place = registration.state.assignment();
    let base =
        Outcome { hub: place.map(|place| place.hub.clone()), device_id: place.map(|place| place.device_id.clone()), ..Outcome::default() };
    match &registration.state {
        State::Assigned { .. } => Outcome { result: AttemptResult::Assigned, ..base },
        State::Assigning { .. } => Outcome {
            result: AttemptResult::Assigning,
            next: Some("Wait: the operation goes on by itself, and the device polls for its end.".into()),
            ..base
        },
        State::Failed { error_code, error_message, .. } => Outcome {
            result: AttemptResult::Failed,
            error_code: Some(*error_code),
            told: Some(error_message.clone()),
            next: Some("Mend what the last failed step names, then let the device register again.".into()),
            ..base
        },
        State::Disabled { .. } => Outcome {
            result: AttemptResult::Disabled,
            next: Some("Enable the enrollment, or leave it: a disabled entry blocks the device on purpose.".into()),
            ..base
        },
    }
}

/// The outcome of a request that was turned away.
pub fn refused(denial: &Denial) -> Outcome {
    Outcome {
        result: AttemptResult::Refused,
        error_code: Some(denial.answer.code.code()),
        told: Some(denial.answer.message.clone()),
        next: Some(denial.mend.clone()),
        ..Outcome::default()
    }
}
