//! `usher dev`: starts the service, says what to copy, shows telemetry, and stops on SIGTERM or Ctrl-C.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use usher_domain::service_limits::ServiceLimits;
use usher_hub_embedded::EmbeddedHub;
use usher_server::{DevOptions, Running, dev};

use crate::command::{Dev, Limits};

/// Telemetry shown of one message, in characters.
const SHOWN_CHARS_MAX: usize = 200;

pub async fn run(arguments: Dev) -> Result<(), String> {
    let json = arguments.json;
    let state = arguments.state.clone();
    let mut terminate = signal(SignalKind::terminate()).map_err(|why| why.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|why| why.to_string())?;
    let running = dev::start(options(arguments)).await.map_err(|why| why.to_string())?;
    if json {
        println!("{}", serde_json::to_string(&running.manifest).map_err(|why| why.to_string())?);
    } else {
        print_welcome(&running, &state.display().to_string());
    }
    for name in running.hubs.names() {
        if let Some(hub) = running.hubs.get(&name) {
            tokio::spawn(show_telemetry(hub));
        }
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new connections, open requests are answered");
    running.stop().await;
    Ok(())
}

fn options(arguments: Dev) -> DevOptions {
    let defaults = DevOptions::in_folder(arguments.state);
    DevOptions {
        bind: if arguments.bind.is_empty() { defaults.bind.clone() } else { arguments.bind },
        https_port: arguments.ports.https_port,
        mqtts_port: arguments.ports.mqtts_port,
        amqps_port: arguments.ports.amqps_port,
        hubs: arguments.hubs,
        links: arguments.links,
        hub_trust: arguments.hub_trust,
        id_scope: arguments.id_scope,
        name: arguments.name,
        latency: arguments.latency,
        oidc: arguments.oidc.options(),
        webhook_trust: arguments.webhook_trust,
        limits: match arguments.limits {
            Limits::Dps => ServiceLimits::DPS,
            Limits::None => ServiceLimits::NONE,
        },
        ..defaults
    }
}

fn print_welcome(running: &Running, state: &str) {
    let manifest = &running.manifest;
    let device = &manifest.device;
    println!("usher is ready.\n");
    println!("  ID scope            {}", manifest.id_scope);
    println!("  device endpoint     {} (HTTPS and WebSockets {}, MQTT {}, AMQP {})", device.host, device.https, device.mqtts, device.amqps);
    println!("  service API         {}", manifest.service.connection_string);
    println!("  management API      {} (token in dev.json)", manifest.management.url);
    println!("  console             {} (sign in with that token)", manifest.console);
    for hub in &manifest.hubs {
        println!("  hub                 {}", hub.connection_string);
    }
    for hub in &running.remote_hubs {
        println!("  remote hub          {} (region {})", hub.name, hub.region);
    }
    println!("  trust this root     {state}/{}", manifest.trust);
    println!("  all of it, as JSON  {state}/dev.json");
    for remark in &running.remarks {
        println!("\n  {remark}");
    }
    println!("\nStop with Ctrl-C.");
}

async fn show_telemetry(hub: Arc<EmbeddedHub>) {
    use tokio::sync::broadcast::error::RecvError;
    let mut watch = hub.telemetry().watch();
    loop {
        match watch.recv().await {
            Ok(message) => {
                let body: String = String::from_utf8_lossy(&message.body).chars().take(SHOWN_CHARS_MAX).collect();
                tracing::info!(hub = %hub.name(), device = %message.device_id, bytes = message.body.len(), body, "telemetry");
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(hub = %hub.name(), missed, "telemetry came faster than it can be shown"),
            Err(RecvError::Closed) => return,
        }
    }
}
