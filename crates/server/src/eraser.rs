//! Erases, in the background, the records that deleted services left.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tracing::warn;
use usher_api_device::stopped;
use usher_domain::clock::Clock;
use usher_registry::Directory;

/// Pause after a step that erased something, so that requests come first.
const BETWEEN_STEPS: Duration = Duration::from_millis(50);
/// Pause where there is nothing to erase.
const IDLE: Duration = Duration::from_secs(30);

/// Runs until `stop` turns true.
pub async fn erase(directory: Arc<Directory>, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
    loop {
        let pause = match directory.erase_deleted(clock.now()).await {
            Ok(0) => IDLE,
            Ok(_) => BETWEEN_STEPS,
            Err(error) => {
                let mend = "See the store's own log lines; it is tried again.";
                warn!(check = "service.erase", detail = %error, mend, "records of a deleted service cannot be erased");
                IDLE
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}
