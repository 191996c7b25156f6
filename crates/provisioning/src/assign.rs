//! Carrying out a plan on the hubs. Idempotent: run again after a crash at any point, it ends in the same place.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use usher_domain::{
    ErrorCode, HubName,
    registration::{DataPlan, Operation, Plan, Stray},
    service::ProvisioningService,
};
use usher_hub::{Hub, HubError, Hubs, TwinWrite};

/// The longest a single hub call may take. Well under a lease, so that an operation cannot be taken over while it is worked on.
const HUB_CALL_MAX: Duration = Duration::from_secs(8);

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The device is where the plan says.
    Done,
    /// A hub did not do its part; the same may work later.
    Later {
        /// What happened.
        why: String,
        /// The hub's own wish, if it named one, in seconds.
        retry_after_s: Option<u32>,
        /// A row of the error table, for the time when patience has run out.
        at_last: ErrorCode,
    },
    /// It will not work without an operator.
    Never {
        /// A row of the error table.
        code: ErrorCode,
        /// What happened.
        why: String,
    },
}

/// The hubs within reach of a service: those that it has linked.
#[derive(Clone, Copy)]
pub struct Reach<'a> {
    /// The connectors.
    pub hubs: &'a dyn Hubs,
    /// The service.
    pub service: &'a ProvisioningService,
}

impl Reach<'_> {
    fn hub(&self, name: &HubName) -> Option<Arc<dyn Hub>> {
        self.hubs.connect(self.service.tenant, self.service.hub(name)?)
    }

    fn target(&self, name: &HubName) -> Result<Arc<dyn Hub>, Attempt> {
        self.hub(name).ok_or_else(|| Attempt::Never {
            code: ErrorCode::NoHubAvailable,
            why: format!("The hub {name} is not linked any more. Link it again, or let the device be allocated anew."),
        })
    }
}

/// Makes one attempt at `plan`.
pub async fn carry_out(reach: Reach<'_>, operation: &Operation, plan: &Plan) -> Attempt {
    match attempt(reach, operation, plan).await {
        Ok(()) => Attempt::Done,
        Err(attempt) => attempt,
    }
}

async fn attempt(reach: Reach<'_>, operation: &Operation, plan: &Plan) -> Result<(), Attempt> {
    let target = reach.target(&plan.hub)?;
    let initial = &operation.initial_twin;
    match &plan.data {
        DataPlan::Keep => call(&plan.hub, target.ensure_device(&operation.device, TwinWrite::IfCreated(initial))).await,
        DataPlan::Reset => call(&plan.hub, target.ensure_device(&operation.device, TwinWrite::Replace(initial))).await,
        DataPlan::Migrate { from, device_id } => {
            // A hub that is no longer linked cannot be read: its twin is lost to us, the device is not.
            let source = reach.hub(from);
            let carried = match &source {
                Some(source) => call(from, source.read_twin(device_id)).await?,
                None => None,
            };
            // No twin at the source: either it never was there, or an earlier run of this operation has moved it already. In both
            // cases an existing twin at the target must stay.
            let twin = carried.as_ref().map_or(TwinWrite::IfCreated(initial), TwinWrite::Replace);
            call(&plan.hub, target.ensure_device(&operation.device, twin)).await?;
            leave(from, source.as_deref(), device_id).await
        }
        DataPlan::Replace { from, device_id } => {
            call(&plan.hub, target.ensure_device(&operation.device, TwinWrite::Replace(initial))).await?;
            leave(from, reach.hub(from).as_deref(), device_id).await
        }
    }
}

/// Removes the device from the hub it leaves; only after it is durable on its new one.
async fn leave(from: &HubName, source: Option<&dyn Hub>, device_id: &usher_domain::DeviceId) -> Result<(), Attempt> {
    match source {
        Some(source) => call(from, source.delete_device(device_id)).await,
        None => Ok(()),
    }
}

/// Removes a device that an earlier operation may have left behind; `false` where that must be tried again another time. A hub that is
/// no longer linked is none of ours.
pub async fn remove_stray(reach: Reach<'_>, stray: &Stray) -> bool {
    match reach.hub(&stray.hub) {
        Some(hub) => call(&stray.hub, hub.delete_device(&stray.device_id)).await.is_ok(),
        None => true,
    }
}

async fn call<T>(hub: &HubName, work: impl Future<Output = Result<T, HubError>>) -> Result<T, Attempt> {
    let outcome = timeout(HUB_CALL_MAX, work).await.unwrap_or_else(|_| Err(HubError::Unavailable("no answer in time".into())));
    outcome.map_err(|error| {
        let why = format!("{hub}: {error}");
        match error {
            HubError::Unavailable(_) => Attempt::Later { why, retry_after_s: None, at_last: ErrorCode::HubUnreachable },
            HubError::Throttled { retry_after_s } => {
                Attempt::Later { why, retry_after_s: Some(retry_after_s), at_last: ErrorCode::HubUnreachable }
            }
            // An operator can mend it while the device waits, and no SDK asks again after a failure.
            HubError::Unauthorized(_) => Attempt::Later { why, retry_after_s: None, at_last: ErrorCode::HubUnauthorized },
            HubError::Rejected(_) => Attempt::Never { code: ErrorCode::HubRejected, why },
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde_json::json;
    use usher_domain::{
        DeviceId, OperationId, Timestamp,
        enrollment::AllocationPolicy,
        hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
        registration::Substatus,
        service::{HubConnection, LinkedHub},
    };
    use usher_hub::fake::{FakeHub, FakeHubs, Fault};

    use super::*;

    struct World {
        hubs: FakeHubs,
        a: FakeHub,
        b: FakeHub,
    }

    fn world() -> World {
        let (a, b) = (FakeHub::default(), FakeHub::default());
        let hubs = FakeHubs(BTreeMap::from([(name("a"), a.clone()), (name("b"), b.clone())]));
        World { hubs, a, b }
    }

    fn name(text: &str) -> HubName {
        HubName::parse(text).unwrap()
    }

    fn twin(color: &str) -> InitialTwin {
        InitialTwin { tags: serde_json::Map::new(), desired: json!({ "color": color }).as_object().unwrap().clone() }
    }

    fn service() -> ProvisioningService {
        let linked = |hub: &str| LinkedHub {
            name: name(hub),
            region: "here".into(),
            weight: 1,
            apply_allocation_policy: true,
            connection: HubConnection::Embedded,
        };
        ProvisioningService {
            name: "s".into(),
            tenant: 1,
            resource: usher_domain::service::ResourceMetadata::default(),
            id_scope: usher_domain::IdScope::parse("0ne00000001").unwrap(),
            host_name: "s.example".into(),
            policies: Vec::new(),
            hubs: vec![linked("a"), linked("b")],
            allocation: AllocationPolicy::Hashed,
            limits: usher_domain::service_limits::ServiceLimits::NONE,
        }
    }

    fn operation() -> Operation {
        Operation {
            id: OperationId::from_random([1; 24]),
            started_at: Timestamp::from_secs(0),
            lease_until: Timestamp::from_secs(30),
            attempts: 1,
            device: DeviceSpec {
                device_id: DeviceId::parse("d").unwrap(),
                credential: DeviceCredential::CertificateAuthority,
                iot_edge: false,
            },
            initial_twin: twin("initial"),
            plan: None,
            question: None,
            certification: None,
        }
    }

    fn plan(data: DataPlan) -> Plan {
        Plan { hub: name("b"), data, payload: None, substatus: Substatus::InitialAssignment }
    }

    fn from_a() -> (HubName, DeviceId) {
        (name("a"), DeviceId::parse("d").unwrap())
    }

    async fn carry(world: &World, data: DataPlan) -> Attempt {
        carry_out(Reach { hubs: &world.hubs, service: &service() }, &operation(), &plan(data)).await
    }

    async fn place_on_a(world: &World, color: &str) {
        world.a.ensure_device(&operation().device, TwinWrite::Replace(&twin(color))).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_device_gets_the_initial_twin_and_keeps_it_afterwards() {
        let world = world();
        assert_eq!(carry(&world, DataPlan::Keep).await, Attempt::Done);
        assert_eq!(world.b.device("d").unwrap().twin, twin("initial"));
        world.b.ensure_device(&operation().device, TwinWrite::Replace(&twin("changed"))).await.unwrap();
        assert_eq!(carry(&world, DataPlan::Keep).await, Attempt::Done);
        assert_eq!(world.b.device("d").unwrap().twin, twin("changed"));
    }

    #[tokio::test]
    async fn a_migration_survives_a_fault_after_any_call() {
        for lost in 0..4 {
            let world = world();
            place_on_a(&world, "lived").await;
            let (from, device_id) = from_a();
            let data = DataPlan::Migrate { from, device_id };
            let fault = Fault::After(HubError::Unavailable("answer lost".into()));
            match lost {
                0 => world.a.fail_next([fault]),
                1 => world.b.fail_next([fault]),
                2 => world.b.fail_next([Fault::Before(HubError::Throttled { retry_after_s: 1 })]),
                _ => {}
            }
            let first = carry(&world, data.clone()).await;
            assert_eq!(matches!(first, Attempt::Later { .. }), lost < 3, "{first:?}");
            // A takeover runs the whole plan again, also when it was done already.
            assert_eq!(carry(&world, data).await, Attempt::Done);
            assert_eq!(world.b.device("d").unwrap().twin, twin("lived"), "case {lost}");
            assert!(world.a.is_empty(), "case {lost}: the device is on two hubs");
        }
    }

    #[tokio::test]
    async fn a_replacement_resets_the_twin_and_leaves_the_old_hub() {
        let world = world();
        place_on_a(&world, "lived").await;
        let (from, device_id) = from_a();
        assert_eq!(carry(&world, DataPlan::Replace { from, device_id }).await, Attempt::Done);
        assert_eq!(world.b.device("d").unwrap().twin, twin("initial"));
        assert!(world.a.is_empty());
    }

    #[tokio::test]
    async fn the_old_hub_keeps_the_device_while_the_new_one_is_down() {
        let world = world();
        place_on_a(&world, "lived").await;
        world.b.fail_next([Fault::Before(HubError::Unavailable("down".into()))]);
        let (from, device_id) = from_a();
        assert!(matches!(carry(&world, DataPlan::Migrate { from, device_id }).await, Attempt::Later { .. }));
        assert!(world.a.device("d").is_some());
    }

    #[tokio::test]
    async fn refused_credentials_are_waited_for_and_told_at_last() {
        let world = world();
        world.b.fail_next([Fault::Before(HubError::Unauthorized("key".into()))]);
        let attempt = carry(&world, DataPlan::Keep).await;
        assert!(matches!(attempt, Attempt::Later { at_last: ErrorCode::HubUnauthorized, .. }), "{attempt:?}");
        assert_eq!(carry(&world, DataPlan::Keep).await, Attempt::Done);
    }

    #[tokio::test]
    async fn a_hub_that_is_not_linked_is_out_of_reach_though_it_is_there() {
        let world = world();
        let bare = ProvisioningService { hubs: Vec::new(), ..service() };
        let reach = Reach { hubs: &world.hubs, service: &bare };
        let attempt = carry_out(reach, &operation(), &plan(DataPlan::Keep)).await;
        assert!(matches!(attempt, Attempt::Never { code: ErrorCode::NoHubAvailable, .. }), "{attempt:?}");
        assert!(remove_stray(reach, &Stray { hub: name("a"), device_id: from_a().1 }).await, "none of ours");
        assert_eq!((world.a.calls(), world.b.calls()), (0, 0));
    }
}
