//! A hub in memory that keeps real state to assert on and can be told to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use usher_domain::{
    DeviceId, HubName,
    hub_device::{DeviceSpec, InitialTwin},
    service::LinkedHub,
};

use crate::{BoxFuture, Hub, HubError, Hubs, TwinWrite};

/// A device on a fake hub.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeDevice {
    /// Its identity.
    pub spec: DeviceSpec,
    /// Its twin.
    pub twin: InitialTwin,
}

#[derive(Default)]
struct State {
    devices: BTreeMap<DeviceId, FakeDevice>,
    faults: Vec<Fault>,
    calls: u64,
}

/// What goes wrong with the next call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It fails and does nothing.
    Before(HubError),
    /// It does its work, and the answer is lost.
    After(HubError),
}

/// A hub in memory.
#[derive(Clone, Default)]
pub struct FakeHub(Arc<Mutex<State>>);

impl FakeHub {
    /// The device, if it is there.
    pub fn device(&self, id: &str) -> Option<FakeDevice> {
        self.state().devices.iter().find(|(key, _)| key.as_str() == id).map(|(_, device)| device.clone())
    }

    /// How many devices it has.
    pub fn len(&self) -> usize {
        self.state().devices.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes the next calls fail, one each, in this order.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut queued: Vec<Fault> = faults.into_iter().collect();
        queued.reverse();
        self.state().faults = queued;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act<T>(&self, work: impl FnOnce(&mut BTreeMap<DeviceId, FakeDevice>) -> T) -> Result<T, HubError> {
        let mut state = self.state();
        state.calls += 1;
        match state.faults.pop() {
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After(error)) => {
                work(&mut state.devices);
                Err(error)
            }
            None => Ok(work(&mut state.devices)),
        }
    }
}

impl Hub for FakeHub {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async move {
            self.act(|devices| {
                let kept = devices.get(&spec.device_id).map(|device| device.twin.clone());
                let twin = match (twin, kept) {
                    (TwinWrite::IfCreated(_), Some(kept)) => kept,
                    (TwinWrite::IfCreated(initial) | TwinWrite::Replace(initial), _) => initial.clone(),
                };
                devices.insert(spec.device_id.clone(), FakeDevice { spec: spec.clone(), twin });
            })
        })
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(async move { self.act(|devices| devices.get(device_id).map(|device| device.twin.clone())) })
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(async move {
            self.act(|devices| {
                devices.remove(device_id);
            })
        })
    }
}

/// A set of fake hubs by name.
#[derive(Clone, Default)]
pub struct FakeHubs(pub BTreeMap<HubName, FakeHub>);

impl Hubs for FakeHubs {
    fn connect(&self, _tenant: u32, linked: &LinkedHub) -> Option<Arc<dyn Hub>> {
        self.0.get(&linked.name).map(|hub| Arc::new(hub.clone()) as Arc<dyn Hub>)
    }
}
