//! The connector to remote hubs against a real usher's hub over HTTPS, with a middleman that fails between them.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod middleman;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use middleman::Middleman;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use usher_domain::{
    DeviceId, HubName, Secret, Timestamp,
    clock::Clock,
    hub_device::{DeviceCredential, DeviceSpec, InitialTwin},
};
use usher_hub::{
    BoxFuture, Hub, HubError, TwinWrite,
    conformance::{self, Subject},
};
use usher_hub_embedded::{EmbeddedHub, device::Authentication};
use usher_hub_iothub::{Connection, IotHub};
use usher_outbound::Client;
use usher_server::{DevOptions, Running, dev};

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

/// A usher with a hub, the middleman in front of it, and the connector to the middleman.
struct Remote {
    usher: Running,
    folder: PathBuf,
    hub: Arc<EmbeddedHub>,
    middleman: Middleman,
    connector: IotHub,
}

impl Remote {
    async fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("usher-remote-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let ports = (Some(0), Some(0), Some(0));
        let usher = dev::start(DevOptions {
            https_port: ports.0,
            mqtts_port: ports.1,
            amqps_port: ports.2,
            bind: vec!["127.0.0.1".parse().unwrap()],
            ..DevOptions::in_folder(folder.clone())
        });
        let usher = usher.await.unwrap();
        let root = CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap();
        let middleman = Middleman::start(format!("localhost:{}", usher.manifest.device.https), root).await;
        let hub = usher.hubs.get(&HubName::parse("localhost").unwrap()).unwrap();
        let connector = connector(&middleman, hub.policy("iothubowner").unwrap().primary.expose());
        Self { usher, folder, hub, middleman, connector }
    }

    async fn stop(self) {
        self.usher.stop().await;
        std::fs::remove_dir_all(self.folder).unwrap();
    }
}

fn connector(middleman: &Middleman, key: &str) -> IotHub {
    let text = format!("HostName=localhost:{};SharedAccessKeyName=iothubowner;SharedAccessKey={key}", middleman.addr.port());
    let client = Client::new(std::slice::from_ref(&middleman.root)).unwrap();
    IotHub::new(Connection::parse(&text).unwrap(), client, Arc::new(Now))
}

impl Subject for Remote {
    fn hub(&self) -> &dyn Hub {
        &self.connector
    }

    fn break_after(&self, changes: usize) {
        self.middleman.set(|faults| faults.changes_left = Some(changes));
    }

    fn mend(&self) {
        self.middleman.set(|faults| faults.changes_left = None);
    }

    fn identity<'a>(&'a self, id: &'a DeviceId) -> BoxFuture<'a, Option<DeviceSpec>> {
        Box::pin(async move {
            let device = self.hub.device(id).await.ok()?;
            let credential = match device.authentication {
                Authentication::Sas { primary, secondary } => DeviceCredential::SymmetricKeys { primary, secondary },
                Authentication::SelfSigned { primary, secondary } => DeviceCredential::Thumbprints { primary: primary?, secondary },
                Authentication::CertificateAuthority => DeviceCredential::CertificateAuthority,
            };
            Some(DeviceSpec { device_id: device.device_id, credential, iot_edge: device.iot_edge })
        })
    }
}

fn spec(name: &str) -> DeviceSpec {
    let key = || Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let credential = DeviceCredential::SymmetricKeys { primary: key(), secondary: key() };
    DeviceSpec { device_id: DeviceId::parse(name).unwrap(), credential, iot_edge: false }
}

fn twin() -> InitialTwin {
    InitialTwin { tags: serde_json::Map::from_iter([("site".to_owned(), "a".into())]), ..InitialTwin::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_hub_conforms() {
    let remote = Remote::start("whole").await;
    conformance::all(&remote).await;
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_makes_devices_without_their_twins_conforms() {
    let remote = Remote::start("twinless").await;
    remote.middleman.set(|faults| faults.without_twin = true);
    conformance::all(&remote).await;
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_costs_one_request_and_a_known_one_two() {
    let remote = Remote::start("cost").await;
    let (spec, twin) = (spec("d"), twin());
    remote.connector.ensure_device(&spec, TwinWrite::IfCreated(&InitialTwin::default())).await.unwrap();
    assert_eq!(remote.middleman.seen(), ["POST /devices"]);
    remote.connector.ensure_device(&spec, TwinWrite::IfCreated(&twin)).await.unwrap();
    assert_eq!(remote.middleman.seen(), ["POST /devices", "GET /devices/d"]);
    remote.connector.ensure_device(&spec, TwinWrite::Replace(&twin)).await.unwrap();
    assert_eq!(remote.middleman.seen(), ["POST /devices", "GET /devices/d", "PUT /twins/d"]);
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_answers_becomes_what_provisioning_can_act_on() {
    let remote = Remote::start("answers").await;
    let (spec, twin) = (spec("d"), twin());
    let answered = async |code: u16, headers: Vec<(&'static str, String)>| {
        remote.middleman.set(|faults| faults.answer = Some((code, headers)));
        remote.connector.ensure_device(&spec, TwinWrite::IfCreated(&twin)).await.unwrap_err()
    };
    assert_eq!(answered(429, vec![("retry-after", "17".into())]).await, HubError::Throttled { retry_after_s: 17 });
    assert!(matches!(answered(503, vec![]).await, HubError::Unavailable(_)));
    assert!(matches!(answered(401, vec![]).await, HubError::Unauthorized(_)));
    assert!(matches!(answered(400, vec![]).await, HubError::Rejected(_)));
    assert!(matches!(answered(302, vec![("location", "https://localhost:1/".into())]).await, HubError::Rejected(_)));
    remote.middleman.set(|faults| *faults = middleman::Faults { delay: Some(Duration::from_secs(6)), ..Default::default() });
    let slow = remote.connector.read_twin(&spec.device_id).await.unwrap_err();
    assert!(matches!(&slow, HubError::Unavailable(why) if why.contains("5000 ms")), "{slow}");
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_hub_that_is_gone_are_told_apart() {
    let remote = Remote::start("refused").await;
    let wrong = connector(&remote.middleman, "d3Jvbmcga2V5");
    let refused = wrong.delete_device(&spec("d").device_id).await.unwrap_err();
    assert!(matches!(&refused, HubError::Unauthorized(why) if why.contains("401")), "{refused}");
    let untrusting = IotHub::new(
        Connection::parse(&format!("HostName=localhost:{};SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0", remote.middleman.addr.port()))
            .unwrap(),
        Client::new(&[]).unwrap(),
        Arc::new(Now),
    );
    let untrusted = untrusting.read_twin(&spec("d").device_id).await.unwrap_err();
    assert!(matches!(&untrusted, HubError::Unavailable(why) if why.contains("not trusted")), "{untrusted}");
    let gone = Connection::parse("HostName=localhost:9;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0").unwrap();
    let gone = IotHub::new(gone, Client::new(&[]).unwrap(), Arc::new(Now)).read_twin(&spec("d").device_id).await.unwrap_err();
    assert!(matches!(&gone, HubError::Unavailable(why) if why.contains("cannot connect")), "{gone}");
    remote.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_device_is_brought_to_its_credential_and_stays_disabled() {
    let remote = Remote::start("disabled").await;
    let id = DeviceId::parse("d").unwrap();
    let body = serde_json::json!({"status": "disabled", "statusReason": "stolen"});
    remote.hub.put_device(&id, &body, &usher_hub_embedded::etag::Condition::None).await.unwrap();
    remote.connector.ensure_device(&spec("d"), TwinWrite::IfCreated(&twin())).await.unwrap();
    let device = remote.hub.device(&id).await.unwrap();
    assert_eq!(device.status, usher_hub_embedded::device::Status::Disabled);
    assert_eq!(device.status_reason.as_deref(), Some("stolen"));
    assert_eq!(remote.identity(&id).await, Some(spec("d")));
    assert!(device.twin.tags().is_empty(), "the device was there before: its twin is left alone");
    remote.stop().await;
}
