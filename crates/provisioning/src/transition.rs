//! The registration state machine: begin, plan, settle. Each step takes the old record and gives the new one; nothing here stores
//! or calls anything.

use usher_domain::{
    HubName, OperationId, RegistrationId, Timestamp,
    certification::{Certification, HeldCertificate, IssuedChain, Stage},
    credential_policy::HubAuthentication,
    enrollment::EnrollmentRef,
    hub_device::DeviceCredential,
    registration::{
        Assignment, DataPlan, FORMER_HUBS_MAX, Operation, Plan, ProofSummary, Registration, STRAYS_MAX, State, Stray, TpmRegistration,
    },
};
use usher_webhook::Answer;

use crate::plan::go;

/// How long a node may hold an operation before others presume it dead, in milliseconds. Longer than any bounded hub call.
pub const LEASE_MS: i64 = 30_000;

/// Who registers, proven.
pub struct Applicant {
    /// As the device spells it now.
    pub registration_id: RegistrationId,
    /// The enrollment that admits it.
    pub enrollment: EnrollmentRef,
    /// How it proved itself.
    pub proof: ProofSummary,
    /// What to remember of its TPM, where it has one.
    pub tpm: Option<TpmRegistration>,
}

/// Accepts a registration: the record now says what is to be done.
pub fn begin(old: Option<Registration>, applicant: Applicant, operation: Operation, now: Timestamp) -> Registration {
    let Applicant { registration_id, enrollment, proof, tpm } = applicant;
    // An abandoned operation that is not taken over may have made the device where it was meant to go.
    let old = old.map(|old| failed(old, 0, String::new(), now));
    let previous = old.as_ref().and_then(|old| old.state.assignment().cloned());
    let Kept { created_at, former_hubs, strays, certificate } = Kept::of(old, now);
    let state = State::Assigning { operation: Box::new(operation), previous };
    Registration { registration_id, enrollment, proof, created_at, updated_at: now, former_hubs, strays, tpm, certificate, state }
}

/// Records that a proven device was refused, since its enrollment is disabled.
pub fn refuse_disabled(old: Option<Registration>, applicant: Applicant, operation_id: OperationId, now: Timestamp) -> Registration {
    let previous = old.as_ref().and_then(|old| old.state.assignment().cloned());
    let state = State::Disabled { operation_id, previous };
    let Applicant { registration_id, enrollment, proof, tpm } = applicant;
    let Kept { created_at, former_hubs, strays, certificate } = Kept::of(old, now);
    Registration { registration_id, enrollment, proof, created_at, updated_at: now, former_hubs, strays, tpm, certificate, state }
}

/// The operation under way, where there is one.
pub fn running(registration: &Registration) -> Option<&Operation> {
    match &registration.state {
        State::Assigning { operation, .. } => Some(operation),
        _ => None,
    }
}

/// Whether a node that is not working on it may take the operation over.
pub fn is_abandoned(operation: &Operation, now: Timestamp) -> bool {
    operation.lease_until <= now
}

/// Takes the operation, or extends the hold on it, for one lease from now.
pub fn hold(mut registration: Registration, now: Timestamp) -> Registration {
    if let State::Assigning { operation, .. } = &mut registration.state {
        operation.lease_until = now.plus_millis(LEASE_MS);
        operation.attempts = operation.attempts.saturating_add(1);
    }
    registration
}

/// Records what the webhook decided: the operation has its plan now, and nobody will be asked again.
pub fn decided(mut registration: Registration, answer: Answer, now: Timestamp) -> Registration {
    let State::Assigning { operation, previous } = &mut registration.state else { return registration };
    let Some(question) = operation.question.take() else { return registration };
    let plan = go(previous.as_ref(), &registration.former_hubs, question.rule, answer.hub, &operation.device.device_id);
    operation.plan = Some(Plan { payload: answer.payload, ..plan });
    operation.initial_twin = answer.initial_twin.unwrap_or_else(|| std::mem::take(&mut operation.initial_twin));
    operation.lease_until = now.plus_millis(LEASE_MS);
    registration
}

/// Records the certificate that was issued: the operation has it now, and nobody signs another one for it. On the hub the device proves
/// itself by it, and until its next registration by the one before as well: it may go on with that until it has taken the new one.
pub fn certified(mut registration: Registration, chain: IssuedChain, now: Timestamp) -> Registration {
    let State::Assigning { operation, .. } = &mut registration.state else { return registration };
    let Some(certification) = operation.certification.as_mut().filter(|found| matches!(found.stage, Stage::Wanted { .. })) else {
        return registration;
    };
    let before = registration.certificate.as_ref().map(|held| held.chain.sha256_thumbprint.clone());
    let primary = chain.sha256_thumbprint.clone();
    let secondary = before.filter(|before| *before != primary);
    operation.device.credential = match certification.hub_authentication {
        HubAuthentication::Thumbprint => DeviceCredential::Thumbprints { primary, secondary },
        HubAuthentication::CertificateAuthority => DeviceCredential::CertificateAuthority,
    };
    operation.lease_until = now.plus_millis(LEASE_MS);
    certification.stage = Stage::Issued(chain);
    registration
}

/// Puts the webhook's next turn off. Whoever comes first once the lease has ended asks again: no node waits all that time.
pub fn put_off(mut registration: Registration, failed: bool, pause_ms: i64, now: Timestamp) -> Registration {
    if let State::Assigning { operation, .. } = &mut registration.state {
        operation.lease_until = now.plus_millis(pause_ms);
        if let Some(question) = &mut operation.question {
            question.failures = question.failures.saturating_add(u32::from(failed));
        }
    }
    registration
}

/// What a new operation keeps of the record, whatever it does.
struct Kept {
    created_at: Timestamp,
    former_hubs: Vec<HubName>,
    strays: Vec<Stray>,
    certificate: Option<HeldCertificate>,
}

impl Kept {
    fn of(old: Option<Registration>, now: Timestamp) -> Self {
        match old {
            Some(old) => {
                Self { created_at: old.created_at, former_hubs: old.former_hubs, strays: old.strays, certificate: old.certificate }
            }
            None => Self { created_at: now, former_hubs: Vec::new(), strays: Vec::new(), certificate: None },
        }
    }
}

/// The strays that an operation with this plan has to remove: not one where the device is going to be.
pub fn strays_to_remove<'a>(registration: &'a Registration, plan: &'a Plan) -> impl Iterator<Item = &'a Stray> {
    let device_id = running(registration).map(|operation| &operation.device.device_id);
    registration.strays.iter().filter(move |stray| stray.hub != plan.hub || Some(&stray.device_id) != device_id)
}

/// Settles an operation as done: the device is where the plan said, and `strays` could not be removed yet.
pub fn assigned(registration: Registration, plan: &Plan, strays: Vec<Stray>, now: Timestamp) -> Registration {
    let State::Assigning { operation, .. } = registration.state else { return registration };
    let mut former_hubs = registration.former_hubs;
    if let Some(left) = left_hub(plan) {
        former_hubs.retain(|hub| *hub != left);
        former_hubs.push(left);
        let excess = former_hubs.len().saturating_sub(FORMER_HUBS_MAX);
        former_hubs.drain(..excess);
    }
    let certificate = match operation.certification.map(|certification| *certification) {
        Some(Certification { stage: Stage::Issued(chain), hub_authentication, .. }) => {
            Some(HeldCertificate { operation_id: operation.id.clone(), hub_authentication, chain })
        }
        _ => registration.certificate,
    };
    let assignment = Assignment { hub: plan.hub.clone(), device_id: operation.device.device_id, payload: plan.payload.clone() };
    let state = State::Assigned { operation_id: operation.id, assignment, substatus: plan.substatus };
    Registration { former_hubs, strays, updated_at: now, certificate, state, ..registration }
}

/// Settles an operation as failed. The device stays where it was, and may have come to be where it was meant to go as well: a hub
/// whose answer was lost has done its work. That place is remembered as a stray.
pub fn failed(mut registration: Registration, error_code: u32, error_message: String, now: Timestamp) -> Registration {
    let State::Assigning { operation, previous } = registration.state else { return registration };
    if let Some(plan) = &operation.plan {
        let stray = Stray { hub: plan.hub.clone(), device_id: operation.device.device_id.clone() };
        let stays = previous.as_ref().is_some_and(|place| place.hub == stray.hub && place.device_id == stray.device_id);
        if !stays && !registration.strays.contains(&stray) {
            registration.strays.push(stray);
            let excess = registration.strays.len().saturating_sub(STRAYS_MAX);
            registration.strays.drain(..excess);
        }
    }
    let state = State::Failed { operation_id: operation.id, error_code, error_message, previous };
    Registration { updated_at: now, state, ..registration }
}

/// The hub that a plan takes the device away from.
fn left_hub(plan: &Plan) -> Option<HubName> {
    match &plan.data {
        DataPlan::Migrate { from, .. } | DataPlan::Replace { from, .. } if *from != plan.hub => Some(from.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};
    use usher_domain::{
        DeviceId, Secret,
        allocation_question::{Question, Reassign},
        enrollment::CustomAllocation,
        hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
        registration::Substatus,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn applicant() -> Applicant {
        Applicant {
            registration_id: RegistrationId::parse("d").unwrap(),
            enrollment: EnrollmentRef::Individual,
            proof: ProofSummary::SymmetricKey,
            tpm: None,
        }
    }

    fn operation(byte: u8) -> Operation {
        Operation {
            id: OperationId::from_random([byte; 24]),
            started_at: NOW,
            lease_until: NOW.plus_millis(LEASE_MS),
            attempts: 1,
            device: DeviceSpec {
                device_id: DeviceId::parse("d").unwrap(),
                credential: DeviceCredential::CertificateAuthority,
                iot_edge: false,
            },
            initial_twin: InitialTwin::default(),
            plan: None,
            question: None,
            certification: None,
        }
    }

    fn plan(hub: &str, data: DataPlan) -> Plan {
        Plan { hub: HubName::parse(hub).unwrap(), data, payload: None, substatus: Substatus::InitialAssignment }
    }

    fn moved(from: &str, to: &str) -> Plan {
        plan(to, DataPlan::Migrate { from: HubName::parse(from).unwrap(), device_id: DeviceId::parse("d").unwrap() })
    }

    #[test]
    fn a_device_is_assigned_by_the_operation_that_began() {
        let begun = begin(None, applicant(), operation(1), NOW);
        assert_eq!(running(&begun).unwrap().id, operation(1).id);
        let done = assigned(begun, &plan("a", DataPlan::Keep), Vec::new(), NOW);
        assert_eq!(done.state.operation_id(), &operation(1).id);
        assert_eq!(done.state.assignment().unwrap().hub.as_str(), "a");
    }

    #[test]
    fn a_failed_move_leaves_the_device_where_it_was() {
        let done = assigned(begin(None, applicant(), operation(1), NOW), &plan("a", DataPlan::Keep), Vec::new(), NOW);
        let again = begin(Some(done), applicant(), operation(2), NOW);
        let failed = failed(again, 400_208, "no hub".into(), NOW);
        assert_eq!(failed.state.word(), "failed");
        assert_eq!(failed.state.assignment().unwrap().hub.as_str(), "a");
    }

    #[test]
    fn a_failed_move_leaves_a_stray_that_the_next_operation_removes_unless_it_goes_there() {
        let on_a = assigned(begin(None, applicant(), operation(1), NOW), &plan("a", DataPlan::Keep), Vec::new(), NOW);
        let to_b = Operation { plan: Some(moved("a", "b")), ..operation(2) };
        let failed = failed(begin(Some(on_a), applicant(), to_b, NOW), 400_209, "refused".into(), NOW);
        assert_eq!(failed.strays.len(), 1);
        let again = begin(Some(failed), applicant(), operation(3), NOW);
        assert_eq!(strays_to_remove(&again, &plan("a", DataPlan::Keep)).count(), 1);
        assert_eq!(strays_to_remove(&again, &moved("a", "b")).count(), 0);
        assert!(assigned(again, &plan("a", DataPlan::Keep), Vec::new(), NOW).strays.is_empty());
    }

    #[test]
    fn former_hubs_are_kept_once_each_and_bounded() {
        let mut record = assigned(begin(None, applicant(), operation(1), NOW), &plan("h0", DataPlan::Keep), Vec::new(), NOW);
        for n in 0..20 {
            let step = moved(&format!("h{n}"), &format!("h{}", n + 1));
            record = assigned(begin(Some(record), applicant(), operation(2), NOW), &step, Vec::new(), NOW);
        }
        assert_eq!(record.former_hubs.len(), FORMER_HUBS_MAX);
        assert_eq!(record.former_hubs.last().unwrap().as_str(), "h19");
    }

    #[test]
    fn an_operation_is_abandoned_only_after_its_lease() {
        let held = hold(begin(None, applicant(), operation(1), NOW), NOW);
        let operation = running(&held).unwrap();
        assert!(!is_abandoned(operation, NOW.plus_millis(LEASE_MS - 1)));
        assert!(is_abandoned(operation, NOW.plus_millis(LEASE_MS)));
        assert_eq!(operation.attempts, 2);
    }

    fn asking(rule: Reassign) -> Operation {
        let webhook = CustomAllocation { webhook_url: Secret::new("https://f.example/?code=k"), api_version: "2021-10-01".into() };
        let hubs = ["a", "b"].map(|name| HubName::parse(name).unwrap()).to_vec();
        let question = Question { webhook, request: Value::Null, hubs, rule, failures: 0 };
        Operation { question: Some(Box::new(question)), ..operation(2) }
    }

    fn answer(hub: &str, twin: Option<InitialTwin>) -> Answer {
        Answer { hub: HubName::parse(hub).unwrap(), initial_twin: twin, payload: Some(json!({ "for": hub })) }
    }

    #[test]
    fn a_decision_becomes_the_plan_and_the_question_is_dropped() {
        let twin = InitialTwin { tags: json!({ "t": 1 }).as_object().unwrap().clone(), ..InitialTwin::default() };
        let begun = begin(None, applicant(), asking(Reassign::Migrate), NOW);
        let planned = decided(begun, answer("b", Some(twin.clone())), NOW);
        let operation = running(&planned).unwrap();
        let plan = operation.plan.clone().unwrap();
        assert_eq!((plan.hub.as_str(), plan.payload, plan.data), ("b", Some(json!({ "for": "b" })), DataPlan::Keep));
        assert_eq!((&operation.question, &operation.initial_twin), (&None, &twin));
        assert_eq!(decided(planned.clone(), answer("a", None), NOW), planned, "the first decision stands");
    }

    #[test]
    fn a_decision_follows_the_rule_of_the_enrollment() {
        let on_a = assigned(begin(None, applicant(), operation(1), NOW), &plan("a", DataPlan::Keep), Vec::new(), NOW);
        let device_id = DeviceId::parse("d").unwrap();
        for (rule, hub, data, substatus) in [
            (Reassign::Stay, "a", DataPlan::Keep, Substatus::InitialAssignment),
            (Reassign::Migrate, "a", DataPlan::Keep, Substatus::InitialAssignment),
            (Reassign::Reset, "a", DataPlan::Reset, Substatus::DeviceDataReset),
            (
                Reassign::Migrate,
                "b",
                DataPlan::Migrate { from: HubName::parse("a").unwrap(), device_id: device_id.clone() },
                Substatus::DeviceDataMigrated,
            ),
            (Reassign::Reset, "b", DataPlan::Replace { from: HubName::parse("a").unwrap(), device_id }, Substatus::DeviceDataReset),
        ] {
            let planned = decided(begin(Some(on_a.clone()), applicant(), asking(rule), NOW), answer(hub, None), NOW);
            let plan = running(&planned).unwrap().plan.clone().unwrap();
            assert_eq!((plan.data, plan.substatus), (data, substatus), "{rule:?} {hub}");
        }
    }

    #[test]
    fn a_question_that_is_put_off_is_anyones_after_the_pause() {
        let later = put_off(begin(None, applicant(), asking(Reassign::Migrate), NOW), true, 10_000, NOW);
        let operation = running(&later).unwrap();
        assert!(!is_abandoned(operation, NOW.plus_millis(9_999)) && is_abandoned(operation, NOW.plus_millis(10_000)));
        assert_eq!(operation.question.as_ref().unwrap().failures, 1);
        let busy = put_off(later, false, 10_000, NOW);
        assert_eq!(running(&busy).unwrap().question.as_ref().unwrap().failures, 1);
    }

    #[test]
    fn an_operation_that_fails_before_the_decision_leaves_no_stray() {
        let failed = failed(begin(None, applicant(), asking(Reassign::Migrate), NOW), 400_207, "no".into(), NOW);
        assert!(failed.strays.is_empty());
    }

    #[test]
    fn settling_a_settled_record_changes_nothing() {
        let done = assigned(begin(None, applicant(), operation(1), NOW), &plan("a", DataPlan::Keep), Vec::new(), NOW);
        assert_eq!(assigned(done.clone(), &plan("b", DataPlan::Keep), Vec::new(), NOW), done);
        assert_eq!(failed(done.clone(), 1, String::new(), NOW), done);
    }

    #[test]
    fn a_disabled_enrollment_is_recorded_and_keeps_the_place() {
        let done = assigned(begin(None, applicant(), operation(1), NOW), &plan("a", DataPlan::Keep), Vec::new(), NOW);
        let refused = refuse_disabled(Some(done), applicant(), OperationId::from_random([9; 24]), NOW);
        assert_eq!(refused.state.word(), "disabled");
        assert!(refused.state.assignment().is_some());
    }
}
