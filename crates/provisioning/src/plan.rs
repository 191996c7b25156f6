//! Re-provisioning: what an operation does with a device that has been here before. Pure rules over plain values.

use usher_domain::{
    DeviceId, HubName,
    allocation_question::Reassign,
    enrollment::ReprovisionPolicy,
    registration::{Assignment, DataPlan, Plan, Substatus},
};

/// The last API version without native re-provisioning: devices that speak it stay on their hub unless the enrollment says
/// otherwise (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-device-reprovision.md, "Backwards compatibility").
const LAST_STICKY_API_VERSION: &str = "2018-04-01";

/// The rule that applies to a device that registers again.
///
/// `api_version` is the one the device sent; the early ones sort before the later ones as text, previews included.
pub fn reassign(policy: Option<ReprovisionPolicy>, api_version: &str) -> Reassign {
    match policy {
        Some(ReprovisionPolicy { update_hub_assignment: false, .. }) => Reassign::Stay,
        Some(ReprovisionPolicy { migrate_device_data: false, .. }) => Reassign::Reset,
        Some(_) => Reassign::Migrate,
        None if !api_version.is_empty() && api_version <= LAST_STICKY_API_VERSION => Reassign::Stay,
        None => Reassign::Migrate,
    }
}

/// The plan for a device that keeps its place.
pub fn stay(previous: &Assignment) -> Plan {
    Plan { hub: previous.hub.clone(), data: DataPlan::Keep, payload: previous.payload.clone(), substatus: Substatus::InitialAssignment }
}

/// The plan for a device that allocation sends to `hub` as `device_id`.
pub fn go(previous: Option<&Assignment>, former_hubs: &[HubName], rule: Reassign, hub: HubName, device_id: &DeviceId) -> Plan {
    let Some(previous) = previous else {
        return Plan { hub, data: DataPlan::Keep, payload: None, substatus: Substatus::InitialAssignment };
    };
    let same_place = previous.hub == hub && previous.device_id == *device_id;
    let (from, old_id) = (previous.hub.clone(), previous.device_id.clone());
    let (data, substatus) = match (same_place, rule) {
        (true, Reassign::Reset) => (DataPlan::Reset, Substatus::DeviceDataReset),
        (true, _) => (DataPlan::Keep, Substatus::InitialAssignment),
        (false, Reassign::Reset) => (DataPlan::Replace { from, device_id: old_id }, Substatus::DeviceDataReset),
        (false, _) if former_hubs.contains(&hub) => {
            (DataPlan::Migrate { from, device_id: old_id }, Substatus::ReprovisionedToInitialAssignment)
        }
        (false, _) => (DataPlan::Migrate { from, device_id: old_id }, Substatus::DeviceDataMigrated),
    };
    Plan { hub, data, payload: None, substatus }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hub(name: &str) -> HubName {
        HubName::parse(name).unwrap()
    }

    fn id(text: &str) -> DeviceId {
        DeviceId::parse(text).unwrap()
    }

    fn on(name: &str) -> Assignment {
        Assignment { hub: hub(name), device_id: id("d"), payload: None }
    }

    #[test]
    fn without_a_policy_only_old_devices_stay() {
        assert_eq!(reassign(None, "2017-11-15"), Reassign::Stay);
        assert_eq!(reassign(None, "2018-04-01"), Reassign::Stay);
        assert_eq!(reassign(None, "2018-09-01-preview"), Reassign::Migrate);
        assert_eq!(reassign(None, "2019-03-31"), Reassign::Migrate);
    }

    #[test]
    fn a_policy_is_always_obeyed() {
        let policy = |update, migrate| Some(ReprovisionPolicy { update_hub_assignment: update, migrate_device_data: migrate });
        assert_eq!(reassign(policy(true, true), "2017-11-15"), Reassign::Migrate);
        assert_eq!(reassign(policy(true, false), "2019-03-31"), Reassign::Reset);
        assert_eq!(reassign(policy(false, false), "2019-03-31"), Reassign::Stay);
    }

    #[test]
    fn a_first_registration_is_an_initial_assignment() {
        let plan = go(None, &[], Reassign::Migrate, hub("a"), &id("d"));
        assert_eq!((plan.data, plan.substatus), (DataPlan::Keep, Substatus::InitialAssignment));
    }

    #[test]
    fn a_move_carries_the_twin_or_resets_it() {
        let from = || (hub("a"), id("d"));
        let moved = go(Some(&on("a")), &[], Reassign::Migrate, hub("b"), &id("d"));
        assert_eq!(moved.data, DataPlan::Migrate { from: from().0, device_id: from().1 });
        assert_eq!(moved.substatus, Substatus::DeviceDataMigrated);
        let reset = go(Some(&on("a")), &[], Reassign::Reset, hub("b"), &id("d"));
        assert_eq!(reset.data, DataPlan::Replace { from: from().0, device_id: from().1 });
        assert_eq!(reset.substatus, Substatus::DeviceDataReset);
    }

    #[test]
    fn a_return_to_a_former_hub_is_told_apart() {
        let plan = go(Some(&on("a")), &[hub("b")], Reassign::Migrate, hub("b"), &id("d"));
        assert_eq!(plan.substatus, Substatus::ReprovisionedToInitialAssignment);
    }

    #[test]
    fn a_new_device_id_on_the_same_hub_is_a_move() {
        let plan = go(Some(&on("a")), &[], Reassign::Migrate, hub("a"), &id("other"));
        assert_eq!(plan.data, DataPlan::Migrate { from: hub("a"), device_id: id("d") });
    }

    #[test]
    fn a_reset_in_place_is_a_factory_reset() {
        let plan = go(Some(&on("a")), &[], Reassign::Reset, hub("a"), &id("d"));
        assert_eq!((plan.data, plan.substatus), (DataPlan::Reset, Substatus::DeviceDataReset));
    }
}
