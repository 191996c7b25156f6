//! `usher serve`: starts one node of an installation, reads its master keys anew on SIGHUP, and stops it on SIGTERM or
//! Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};
use usher_server::serve;

use crate::command::Serve;

pub async fn run(arguments: Serve) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|why| why.to_string())?;
    let mut hangup = signal(SignalKind::hangup()).map_err(|why| why.to_string())?;
    let serving = serve::start(&arguments.config, arguments.ready_file).await.map_err(|why| why.to_string())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => serving.reload(&arguments.config).await,
        }
    }
    tracing::info!("stopping: no new connections, open requests are answered");
    serving.stop().await;
    Ok(())
}
