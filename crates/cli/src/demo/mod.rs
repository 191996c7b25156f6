//! `usher demo`: a server on free ports in a temporary folder, and real devices that are provisioned by it in every way it knows.

mod fleet;
mod software_tpm;

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use usher_device::{Failure, Ports, Profile, Provisioned, ServiceClient, Transport, provision, read_twin, trust_from_file};
use usher_domain::HubName;
use usher_server::{DevOptions, Manifest, dev};

use crate::{command::Demo, show};
use fleet::{Member, fleet, tpm_member};
use software_tpm::SoftwareTpm;

/// What became of one device.
struct Outcome {
    member: Member,
    result: Result<(Provisioned, Value), Failure>,
}

pub async fn run(arguments: Demo) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("usher-demo-{}", std::process::id()));
    let outcome = run_in(&folder, &arguments).await;
    // What the demo leaves behind is nobody's: a failure to remove it is not the demo's.
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

async fn run_in(folder: &Path, arguments: &Demo) -> Result<(), String> {
    let say = |text: &str| {
        if !arguments.json {
            println!("{text}");
        }
    };
    let mut options = DevOptions::in_folder(folder.to_owned());
    (options.https_port, options.mqtts_port, options.amqps_port) = (Some(0), Some(0), Some(0));
    // Both names resolve everywhere, and hubs are told apart by name.
    for (name, region) in [("localhost", "north"), ("127.0.0.1", "south")] {
        options.hubs.push((HubName::parse(name).map_err(|why| why.to_string())?, region.into()));
    }
    options.bind.truncate(1);
    let running = dev::start(options).await.map_err(|why| why.to_string())?;
    let device = &running.manifest.device;
    say(&format!(
        "usher runs on {} (HTTPS {}, MQTT {}, AMQP {}) with two embedded hubs.",
        device.host, device.https, device.mqtts, device.amqps
    ));
    let tpm = SoftwareTpm::start(&folder.join("tpm"))?;
    if tpm.is_none() {
        say("No TPM is shown: swtpm and tpm2-tools are not installed (apt-get install swtpm tpm2-tools).");
    }
    let outcomes = provision_all(folder, &running.manifest, tpm.as_ref()).await;
    running.stop().await;
    let outcomes = outcomes?;
    if arguments.json {
        println!("{}", as_json(&outcomes));
    } else {
        print_tables(&outcomes);
    }
    match outcomes.iter().filter(|outcome| outcome.result.is_err()).count() {
        0 => Ok(()),
        failed => {
            Err(format!("{failed} of {} devices were not provisioned; run `usher demo --verbose` for the server's log", outcomes.len()))
        }
    }
}

async fn provision_all(folder: &Path, manifest: &Manifest, tpm: Option<&SoftwareTpm>) -> Result<Vec<Outcome>, String> {
    let trust = trust_from_file(&folder.join(&manifest.trust)).map_err(|why| why.to_string())?;
    let service = ServiceClient::new(&manifest.service.connection_string, trust.clone())?;
    let mut outcomes = Vec::new();
    let (mut members, mut enrollments) = fleet()?;
    if let Some(tpm) = tpm {
        for transport in [Transport::Https, Transport::Amqp, Transport::AmqpWs] {
            let (member, enrollment) = tpm_member(&tpm.tcti, transport)?;
            members.push(member);
            enrollments.push(enrollment);
        }
    }
    for (path, document) in &enrollments {
        service.put(path, document).await?;
    }
    for member in members {
        let profile = Profile {
            host: manifest.device.host.clone(),
            ports: Ports { https: manifest.device.https, mqtts: manifest.device.mqtts, amqps: manifest.device.amqps },
            id_scope: manifest.id_scope.clone(),
            registration_id: member.registration_id.clone(),
            credential: member.credential.clone(),
            signing_request: None,
            trust: trust.clone(),
        };
        let result = live(&profile, &member).await;
        outcomes.push(Outcome { member, result });
    }
    Ok(outcomes)
}

/// A device's first minutes: it is provisioned, connects to its hub and reads its twin.
async fn live(profile: &Profile, member: &Member) -> Result<(Provisioned, Value), Failure> {
    let silent = |_: Duration, _: &str| {};
    let place = provision(profile, member.transport, None, &silent).await?;
    let twin = read_twin(profile, &place, member.transport, &silent).await?;
    let expected = &member.desired;
    let missing = expected.as_object().into_iter().flatten().any(|(name, value)| twin["desired"][name] != *value);
    if missing {
        return Err(Failure::new("twin", format!("the twin lacks {expected}"), "This is a fault of usher; please report it."));
    }
    Ok((place, twin))
}

fn print_tables(outcomes: &[Outcome]) {
    let row = |outcome: &Outcome| {
        let mut cells = vec![outcome.member.registration_id.clone(), outcome.member.kind.into(), outcome.member.transport.name().into()];
        match &outcome.result {
            Ok((place, twin)) => {
                let desired = twin["desired"].as_object().cloned().unwrap_or_default();
                let desired: serde_json::Map<String, Value> = desired.into_iter().filter(|(name, _)| !name.starts_with('$')).collect();
                cells.extend(["provisioned".into(), format!("{:.1}", place.took.as_secs_f64() * 1_000.0), place.hub.clone()]);
                cells.push(Value::Object(desired).to_string());
            }
            Err(why) => cells.extend(["FAILED".into(), String::new(), String::new(), why.what.clone()]),
        }
        cells
    };
    let rows: Vec<Vec<String>> = outcomes.iter().map(row).collect();
    println!("\n{}", show::table(&["device", "attestation", "transport", "result", "ms", "hub", "twin, desired properties"], &rows));
    let provisioned = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    println!("\n{provisioned} of {} devices provisioned: registered, assigned, created on the hub, twin set and read.", outcomes.len());
}

fn as_json(outcomes: &[Outcome]) -> Value {
    let one = |outcome: &Outcome| {
        let member = &outcome.member;
        let head = json!({ "device": member.registration_id, "attestation": member.kind, "transport": member.transport.name() });
        let tail = match &outcome.result {
            Ok((place, twin)) => json!({ "provisioned": true, "ms": place.took.as_secs_f64() * 1_000.0, "hub": place.hub, "twin": twin }),
            Err(why) => json!({ "provisioned": false, "step": why.step, "what": why.what, "next": why.next }),
        };
        let mut both = head.as_object().cloned().unwrap_or_default();
        both.extend(tail.as_object().cloned().unwrap_or_default());
        Value::Object(both)
    };
    json!({ "devices": outcomes.iter().map(one).collect::<Vec<_>>() })
}
