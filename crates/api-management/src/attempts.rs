//! What is kept of a device's attempts to register, for `usher explain`: usher's own addition to the management API.

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    route::Place,
};
use serde_json::{Value, json};
use usher_domain::{
    RegistrationId,
    attempt::{Attempt, AttemptResult},
    enrollment::{Enrollment, EnrollmentRef, ProvisioningStatus},
    registration::{Registration, State},
};

/// What to do where a device has left no trace.
const NO_TRACE: &str = "No attempt of this registration ID is known. Check that the device connects to this server's name and port, that it \
    trusts the server's root certificate, and that it sends this registration ID and the service's ID scope.";

impl ManagementApi {
    /// Everything known of a registration ID: its enrollment, its registration, its attempts, newest first, and what to do next.
    pub(crate) async fn attempts(&self, place: &Place, id: &str) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let id = RegistrationId::parse(id).map_err(|why| Refused::bad("InvalidRegistrationId", why.to_string()))?;
        let enrollment = tenant.registry.individual(&id).await?.map(|found| found.value);
        let registration = tenant.registry.registration(&id).await?.map(|found| found.value);
        let mut attempts = tenant.registry.attempts(&id).await?;
        // Those that came with an ID scope which no service has belong to none; the operator of all must see them somewhere.
        attempts.extend(self.ports.directory.system().attempts(&id).await?);
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.at));
        let next = next(attempts.first(), enrollment.as_ref(), registration.as_ref());
        Ok(Answer::ok(json!({
            "registrationId": id,
            "service": tenant.service.name,
            "idScope": tenant.service.id_scope,
            "enrollment": enrollment.as_ref().map(described),
            "registration": registration.as_ref().map(summary),
            "attempts": attempts,
            "next": next,
        })))
    }
}

fn described(enrollment: &Enrollment) -> Value {
    let enabled = enrollment.status == ProvisioningStatus::Enabled;
    json!({ "kind": "individual", "attestation": enrollment.attestation.kind(), "enabled": enabled })
}

fn summary(registration: &Registration) -> Value {
    let place = registration.state.assignment();
    let group = match &registration.enrollment {
        EnrollmentRef::Group(group) => Some(group),
        EnrollmentRef::Individual => None,
    };
    json!({
        "status": registration.state.word(),
        "assignedHub": place.map(|place| &place.hub),
        "deviceId": place.map(|place| &place.device_id),
        "enrollmentGroupId": group,
        "createdDateTimeUtc": registration.created_at,
        "lastUpdatedDateTimeUtc": registration.updated_at,
    })
}

/// What to do next: what the newest attempt says, else what follows from there being none.
fn next(newest: Option<&Attempt>, enrollment: Option<&Enrollment>, registration: Option<&Registration>) -> String {
    let Some(newest) = newest else {
        return match (enrollment, registration) {
            (_, Some(registration)) => of_state(&registration.state),
            (Some(_), None) => format!("The device is enrolled and has not come yet. {NO_TRACE}"),
            (None, None) => format!("The device is not enrolled by itself; a group may still admit it. {NO_TRACE}"),
        };
    };
    match (&newest.outcome.next, newest.outcome.result) {
        (Some(next), _) => next.clone(),
        (None, AttemptResult::Assigned) => "Nothing: the device is on its hub.".into(),
        (None, _) => "See the last check that failed.".into(),
    }
}

fn of_state(state: &State) -> String {
    match state {
        State::Assigned { assignment, .. } => {
            format!("Nothing: the device is on {}. How it came there is not kept any more.", assignment.hub)
        }
        State::Assigning { .. } => "Wait: the operation goes on by itself.".into(),
        State::Failed { error_message, .. } => {
            format!("The last operation failed: {error_message} Mend it and let the device register again.")
        }
        State::Disabled { .. } => "Enable the enrollment, or leave it: a disabled entry blocks the device on purpose.".into(),
    }
}
