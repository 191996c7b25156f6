//! Registrations that go to a remote hub, with the hub failing in every way, beside those that go to the server's own.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod middleman;

use std::{path::PathBuf, sync::Arc, time::Duration};

use middleman::{Faults, Middleman};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use usher_domain::{HubName, hub_connection::HubConnection, service::LinkedHub};
use usher_hub::{Hubs, health::BreakerHealth};
use usher_server::{DevOptions, RemoteLink, Running, dev};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("usher-linked-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

async fn start(options: DevOptions) -> Running {
    let bind = vec!["127.0.0.1".parse().unwrap()];
    dev::start(DevOptions { https_port: Some(0), mqtts_port: Some(0), amqps_port: Some(0), bind, ..options }).await.unwrap()
}

fn name(text: &str) -> HubName {
    HubName::parse(text).unwrap()
}

fn key_of(usher: &Running, hub: &str) -> String {
    usher.hubs.get(&name(hub)).unwrap().policy("iothubowner").unwrap().primary.expose().to_owned()
}

fn linked(text: &str) -> LinkedHub {
    let (name, connection) = HubConnection::parse(text).unwrap();
    LinkedHub { name, region: "r".into(), weight: 1, apply_allocation_policy: true, connection }
}

#[tokio::test(flavor = "multi_thread")]
async fn connectors_are_shared_and_ones_own_hub_needs_none() {
    let state = folder("shared");
    let usher = start(DevOptions::in_folder(state.clone())).await;
    let text = |key: &str| format!("HostName=localhost:1;SharedAccessKeyName=iothubowner;SharedAccessKey={key}");
    let own = linked(&text(&key_of(&usher, "localhost")));
    assert!(usher.linked_hubs.connect(1, &own).is_some());
    assert!(usher.linked_hubs.health().is_empty(), "the hub is in this process: nothing is to be guarded");
    let other = linked(&text("b3RoZXIga2V5"));
    let (first, second) = (usher.linked_hubs.connect(1, &other).unwrap(), usher.linked_hubs.connect(2, &other).unwrap());
    assert!(Arc::ptr_eq(&first, &second), "two services share the limits of one hub");
    assert_eq!(usher.linked_hubs.health().len(), 1);
    for n in 0..10 {
        usher.linked_hubs.connect(1, &linked(&text(&format!("a2V5{n}w==")))).unwrap();
    }
    assert_eq!(usher.linked_hubs.health().len(), 4, "old keys do not pile up");
    let id = usher_domain::DeviceId::parse("d").unwrap();
    let broker = usher.linked_hubs.connect(1, &linked("mosquitto://a:b@localhost:9")).unwrap();
    assert!(broker.read_twin(&id).await.unwrap_err().is_transient(), "a broker that is down may come back");
    let unusable = usher.linked_hubs.connect(1, &linked("HostName=h;SharedAccessKeyName=o;SharedAccessKey=?")).unwrap();
    let why = unusable.read_twin(&id).await.unwrap_err();
    assert!(!why.is_transient() && why.to_string().contains("base64"), "{why}");
    usher.stop().await;
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_made_once_and_follow_what_is_said_at_the_next_start() {
    let state = folder("links");
    let link = |key: &str| format!("north=HostName=far.example;SharedAccessKeyName=o;SharedAccessKey={key}").parse::<RemoteLink>().unwrap();
    for key in ["a2V5MQ==", "a2V5MQ==", "a2V5Mg=="] {
        let usher = start(DevOptions { links: vec![link(key)], ..DevOptions::in_folder(state.clone()) }).await;
        assert_eq!(usher.manifest.hubs.len(), 1, "dev.json names embedded hubs");
        usher.stop().await;
    }
    let own = "HostName=localhost;SharedAccessKeyName=o;SharedAccessKey=a2V5MQ==".parse().unwrap();
    let refused = dev::start(DevOptions { links: vec![own], ..DevOptions::in_folder(state.clone()) }).await.err().unwrap();
    assert!(refused.to_string().contains("both embedded"), "{refused}");
    let missing = DevOptions { hub_trust: vec![state.join("none.pem")], ..DevOptions::in_folder(state.clone()) };
    assert!(dev::start(missing).await.err().unwrap().to_string().contains("--hub-trust"));
    std::fs::remove_dir_all(state).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_how_a_remote_hub_is_doing() {
    let (far_state, near_state) = (folder("far"), folder("near"));
    let far = start(DevOptions::in_folder(far_state.clone())).await;
    let root = CertificateDer::from_pem_file(far_state.join("ca.pem")).unwrap();
    let middleman = Middleman::start(format!("localhost:{}", far.manifest.device.https), root).await;
    let trust = near_state.join("trust.pem");
    std::fs::create_dir_all(&near_state).unwrap();
    std::fs::write(&trust, pem(&middleman.root)).unwrap();
    let near = start(DevOptions { hub_trust: vec![trust], ..DevOptions::in_folder(near_state.clone()) }).await;
    let key = key_of(&far, "localhost");
    let far_hub = linked(&format!("HostName=localhost:{};SharedAccessKeyName=iothubowner;SharedAccessKey={key}", middleman.addr.port()));
    let (hub, id) = (near.linked_hubs.connect(1, &far_hub).unwrap(), usher_domain::DeviceId::parse("d").unwrap());
    let health = || near.linked_hubs.health().remove(0);

    assert_eq!(hub.read_twin(&id).await, Ok(None));
    assert_eq!((health().breaker, health().calls, health().latencies.len()), (BreakerHealth::Closed, 1, 1));
    middleman.set(|faults| faults.answer = Some((503, vec![])));
    for _ in 0..20 {
        assert!(hub.read_twin(&id).await.is_err());
    }
    assert!(matches!(health().breaker, BreakerHealth::Open { .. }), "{:?}", health());
    assert_eq!((health().calls, health().failed), (6, 5));
    middleman.set(|faults| *faults = Faults::default());
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(hub.read_twin(&id).await, Ok(None));
    assert_eq!((health().breaker, health().failures_in_a_row), (BreakerHealth::Closed, 0));
    far.stop().await;
    near.stop().await;
    for state in [far_state, near_state] {
        std::fs::remove_dir_all(state).unwrap();
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}
