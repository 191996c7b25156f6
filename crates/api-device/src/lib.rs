//! The device endpoint's doors: each turns a transport's bytes into the same claim, and the same outcome back into its framing.

pub mod amqp;
pub mod ascii_json;
pub mod https;
pub mod mqtt;
pub mod outcome;

use tokio::sync::watch;

/// Waits until the server is told to stop, or its teller is gone.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
