//! `usher device provision`: be a device, and explain each step.

use std::{fs, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use usher_attestation::sas;
use usher_device::{Credential, Failure, Ports, Profile, Provisioned, Tpm, provision, read_twin, trust_from_file};
use usher_server::Manifest;

use crate::{
    command::{Provision, TpmKeys},
    signing_request::Requested,
};

pub async fn run(arguments: Box<Provision>) -> Result<(), String> {
    let mut profile = profile(&arguments).map_err(|why| why.to_string())?;
    let requested = arguments.csr.as_deref().map(|folder| Requested::make(folder, &profile.registration_id));
    let requested = requested.transpose().map_err(|why| why.to_string())?;
    profile.signing_request = requested.as_ref().map(|requested| requested.request.clone());
    let payload = match &arguments.payload {
        Some(text) => Some(serde_json::from_str(text).map_err(|why| format!("--payload is not JSON: {why}"))?),
        None => None,
    };
    let json = arguments.json;
    let trace = move |at: Duration, step: &str| {
        let line = format!("{:>8.1} ms  {step}", at.as_secs_f64() * 1_000.0);
        if json { eprintln!("{line}") } else { println!("{line}") }
    };
    let place = provision(&profile, arguments.transport, payload, &trace).await.map_err(|why| why.to_string())?;
    if let Some(requested) = &requested {
        let chain = place.state.issued_certificate_chain.as_deref();
        profile = requested.issued(&profile, chain).map_err(|why| why.to_string())?;
    }
    let twin = if arguments.twin {
        Some(read_twin(&profile, &place, arguments.transport, &trace).await.map_err(|why| why.to_string())?)
    } else {
        None
    };
    report(&place, twin, json);
    Ok(())
}

/// `usher device tpm`
pub fn show_tpm(arguments: TpmKeys) -> Result<(), String> {
    let show = || {
        let tpm = Tpm::open(arguments.tcti)?;
        let keys = tpm.keys();
        Ok(
            json!({ "registrationId": tpm.registration_id()?, "endorsementKey": keys.endorsement_key, "storageRootKey": keys.storage_root_key }),
        )
    };
    let shown = show().map_err(|why: Failure| why.to_string())?;
    println!("{shown:#}");
    Ok(())
}

fn report(place: &Provisioned, twin: Option<serde_json::Value>, json: bool) {
    if json {
        let took_ms = place.took.as_secs_f64() * 1_000.0;
        println!(
            "{}",
            json!({ "hub": place.hub, "deviceId": place.device_id, "tookMs": took_ms, "registrationState": place.state, "twin": twin })
        );
        return;
    }
    println!("\nprovisioned in {:.1} ms: hub {}, device {}", place.took.as_secs_f64() * 1_000.0, place.hub, place.device_id);
    if let Some(twin) = twin {
        println!("twin: {twin:#}");
    }
}

fn profile(arguments: &Provision) -> Result<Profile, Failure> {
    let dev = Manifest::read(&arguments.state).ok();
    let missing = |what: &str| {
        let why = format!("no {what} was given, and {} has no dev.json", arguments.state.display());
        Failure::new("settings", why, "Start `usher dev` in this folder, or give --host, --id-scope and --trust.")
    };
    let host = arguments.host.clone().or_else(|| dev.as_ref().map(|dev| dev.device.host.clone()));
    let id_scope = arguments.id_scope.clone().or_else(|| dev.as_ref().map(|dev| dev.id_scope.clone()));
    let trust = arguments.trust.clone().or_else(|| dev.as_ref().map(|dev| arguments.state.join(&dev.trust)));
    let ports = Ports {
        https: arguments.ports.https_port.or(dev.as_ref().map(|dev| dev.device.https)).unwrap_or(443),
        amqps: arguments.ports.amqps_port.or(dev.as_ref().map(|dev| dev.device.amqps)).unwrap_or(5671),
        mqtts: arguments.ports.mqtts_port.or(dev.as_ref().map(|dev| dev.device.mqtts)).unwrap_or(8883),
    };
    let credential = credential(arguments)?;
    let registration_id = match (&arguments.registration_id, &credential) {
        (Some(id), _) => id.clone(),
        (None, Credential::Tpm(tpm)) => tpm.registration_id()?,
        (None, _) => return Err(Failure::settings("no registration ID was given")),
    };
    Ok(Profile {
        host: host.ok_or_else(|| missing("host"))?,
        ports,
        id_scope: id_scope.ok_or_else(|| missing("ID scope"))?,
        registration_id,
        credential,
        signing_request: None,
        trust: trust_from_file(&trust.ok_or_else(|| missing("trusted root"))?)?,
    })
}

fn credential(arguments: &Provision) -> Result<Credential, Failure> {
    if let (Some(cert), Some(key)) = (&arguments.cert, &arguments.cert_key) {
        return Credential::from_pem(&read(cert)?, &read(key)?);
    }
    if arguments.tpm {
        return Tpm::open(arguments.tcti.clone()).map(|tpm| Credential::Tpm(Arc::new(tpm)));
    }
    if let (Some(group_key), Some(id)) = (&arguments.group_key, &arguments.registration_id) {
        return Ok(Credential::SymmetricKey(sas::derive_device_key(&decode(group_key)?, id).to_vec()));
    }
    let key = arguments.key.as_deref().ok_or_else(|| Failure::settings("no key and no certificate was given"))?;
    decode(key).map(Credential::SymmetricKey)
}

fn decode(key: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(key.trim()).map_err(|_| Failure::settings("the key is not base64"))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|why| Failure::settings(format!("cannot read {}: {why}", path.display())))
}
