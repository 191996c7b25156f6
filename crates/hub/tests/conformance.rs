//! The fake conforms, so that what is tested on it holds for real hubs.

use usher_domain::{DeviceId, hub_device::DeviceSpec};
use usher_hub::{
    BoxFuture, Hub, HubError,
    conformance::{self, Subject},
    fake::{FakeHub, Fault},
};

struct Fake(FakeHub);

impl Subject for Fake {
    fn hub(&self) -> &dyn Hub {
        &self.0
    }

    fn break_after(&self, changes: usize) {
        let error = HubError::Unavailable("broken".into());
        self.0.fail_next([if changes == 0 { Fault::Before(error) } else { Fault::After(error) }]);
    }

    fn mend(&self) {
        self.0.fail_next([]);
    }

    fn identity<'a>(&'a self, id: &'a DeviceId) -> BoxFuture<'a, Option<DeviceSpec>> {
        Box::pin(async move { self.0.device(id.as_str()).map(|device| device.spec) })
    }
}

#[tokio::test]
async fn the_fake_hub_conforms() {
    conformance::all(&Fake(FakeHub::default())).await;
}
