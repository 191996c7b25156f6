//! Looks whether the certificate's files were replaced, as certbot and Kubernetes do it: now and then, and at once on SIGHUP
//! (`systemctl reload`).

use std::{future, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};
use tracing::{info, warn};
use usher_api_device::stopped;

use super::certificate::Certificate;

/// Pause between two looks. Certificates are renewed weeks before they end; a reader of the log wants to see it soon.
const PAUSE: Duration = Duration::from_secs(10);

/// Looks until `stop` turns true. A pair that cannot be used is told once, and again when it is another one's turn.
pub async fn watch(certificate: Arc<Certificate>, mut stop: watch::Receiver<bool>) {
    let mut hangups = signal(SignalKind::hangup()).map_err(|error| warn!(%error, "SIGHUP cannot be listened to")).ok();
    let mut told = String::new();
    loop {
        let asked = tokio::select! {
            () = sleep(PAUSE) => false,
            () = async {
                match &mut hangups {
                    Some(hangups) => { hangups.recv().await; }
                    None => future::pending().await,
                }
            } => true,
            () = stopped(&mut stop) => return,
        };
        match certificate.renew() {
            Ok(true) => info!("the certificate was replaced; new connections get the new one"),
            Ok(false) if asked => info!("the certificate is the same as before"),
            Ok(false) => {}
            Err(error) if asked || told != error.to_string() => {
                told = error.to_string();
                warn!(
                    check = "tls.files",
                    detail = told,
                    mend = "Replace both files; until then the certificate of before is served.",
                    "the certificate's files cannot be used"
                );
                continue;
            }
            Err(_) => continue,
        }
        told.clear();
    }
}
