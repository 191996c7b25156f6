//! A test bed: a hub over a store in memory, REST requests, and devices that speak MQTT over a pipe.
#![allow(clippy::unwrap_used, dead_code)]

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};
use usher_api_hub::{HubRest, PeerEvidence, serve};
use usher_attestation::sas;
use usher_domain::{
    DeviceId, HubName, Secret, Timestamp,
    clock::{Clock as _, ManualClock, SeededEntropy},
};
use usher_hub_embedded::{EmbeddedHub, EmbeddedHubs, device::Authentication, etag::Condition};
use usher_mqtt::{
    client,
    packet::{Connect, ConnectCode, Publish, Qos},
    server::{self, Limits, Session},
};
use usher_records::Vault;
use usher_seal::MasterKey;
use usher_store::{TenantId, memory::MemoryStore};
use usher_wire::Wire;

pub const HUB: &str = "hub.example";
/// Long enough for a busy machine; nothing that passes waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Bed {
    pub hubs: Arc<EmbeddedHubs>,
    pub hub: Arc<EmbeddedHub>,
    pub rest: HubRest,
    pub clock: Arc<ManualClock>,
    pub stop: watch::Sender<bool>,
}

pub fn hub_name() -> HubName {
    HubName::parse(HUB).unwrap()
}

pub fn id(text: &str) -> DeviceId {
    DeviceId::parse(text).unwrap()
}

impl Bed {
    pub async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let vault = Vault::open_tenant(Arc::new(MemoryStore::default()), &MasterKey::generate().unwrap(), TenantId(1)).await.unwrap();
        let hubs = Arc::new(EmbeddedHubs::open(vault, clock.clone(), Arc::new(SeededEntropy::new(3))).await.unwrap());
        let hub = hubs.ensure(&hub_name()).await.unwrap();
        Self { rest: HubRest::new(hubs.clone()), hubs, hub, clock, stop: watch::Sender::new(false) }
    }

    pub async fn make(&self, device: &str, body: Value) {
        self.hub.put_device(&id(device), &body, &Condition::None).await.unwrap();
    }

    pub fn now_s(&self) -> i64 {
        self.clock.now().secs()
    }

    pub fn policy_token(&self, policy: &str, resource: &str) -> String {
        let policy = self.hub.policy(policy).unwrap();
        sas::sign(resource, &sas::decode_key(policy.primary.expose()).unwrap(), self.now_s() + 3_600, Some(&policy.name))
    }

    pub async fn device_key(&self, device: &str) -> Secret {
        match self.hub.device(&id(device)).await.unwrap().authentication {
            Authentication::Sas { secondary, .. } => secondary,
            other => panic!("{}", other.kind()),
        }
    }

    pub async fn device_token(&self, device: &str, ttl_s: i64) -> String {
        let key = sas::decode_key(self.device_key(device).await.expose()).unwrap();
        sas::sign(&format!("{HUB}/devices/{device}"), &key, self.now_s() + ttl_s, None)
    }

    /// A request as the owner of the hub.
    pub async fn owner(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
        let token = self.policy_token("iothubowner", HUB);
        let headers: Vec<_> = headers.iter().copied().chain([("authorization", token.as_str())]).collect();
        self.send(method, path, &headers, body).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(path).header("host", HUB);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.rest.handle(&hub_name(), request.body(body.into()).unwrap()).await
    }

    /// A connection of a device that has not been answered yet.
    pub fn dial(&self, connect: Connect, chain: Vec<Vec<u8>>) -> Device {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (hubs, stop) = (self.hubs.clone(), self.stop.subscribe());
        let served = tokio::spawn(accept(hubs, far, chain, stop));
        Device { session: client::Session::connect(connect), io: near, seen: VecDeque::new(), served }
    }

    /// A device that connects by its own key.
    pub async fn connect(&self, device: &str, clean_session: bool) -> Device {
        let token = self.device_token(device, 3_600).await;
        let mut device = self.dial(connect(device, Some(&token), clean_session), vec![]);
        assert_eq!(device.verdict().await, ConnectCode::Accepted);
        device
    }
}

pub fn connect(device: &str, password: Option<&str>, clean_session: bool) -> Connect {
    Connect {
        client_id: device.to_owned(),
        user_name: Some(format!("{HUB}/{device}/?api-version=2021-04-12&DeviceClientType=test")),
        password: password.map(|password| Bytes::copy_from_slice(password.as_bytes())),
        clean_session,
        keep_alive_s: 60,
        ..Connect::default()
    }
}

/// What the server does with a fresh connection: reads until CONNECT has come and hands over.
async fn accept(hubs: Arc<EmbeddedHubs>, mut io: DuplexStream, chain: Vec<Vec<u8>>, stop: watch::Receiver<bool>) {
    let origin = Instant::now();
    let mut session = Session::new(Limits { packet_bytes: 512 * 1024, ..Limits::default() }, 0);
    let mut buffer = [0; 4096];
    let connect = loop {
        let count = io.read(&mut buffer).await.unwrap();
        session.handle_bytes(&buffer[..count], 0);
        if let Some(server::Event::Connect(connect)) = session.poll_event() {
            break *connect;
        }
    };
    let peer = PeerEvidence { chain, addr: "127.0.0.1:50000".parse().unwrap() };
    serve(hubs, connect, session, Wire::new(io, origin), peer, stop).await;
}

/// A device on the other end of the pipe.
pub struct Device {
    pub session: client::Session,
    io: DuplexStream,
    seen: VecDeque<client::Event>,
    served: JoinHandle<()>,
}

impl Device {
    pub async fn verdict(&mut self) -> ConnectCode {
        match self.next().await.expect("an answer to CONNECT") {
            client::Event::Connected(code) => code,
            other => panic!("{other:?}"),
        }
    }

    pub async fn flush(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            self.io.write_all(&bytes).await.unwrap();
        }
    }

    /// The next thing that the device hears; `None` once the hub has closed the connection.
    pub async fn next(&mut self) -> Option<client::Event> {
        tokio::time::timeout(PATIENCE, self.hear()).await.expect("something is heard in time")
    }

    async fn hear(&mut self) -> Option<client::Event> {
        let mut buffer = [0; 8192];
        loop {
            if let Some(event) = self.seen.pop_front().or_else(|| self.session.poll_event()) {
                // What it hears it has acknowledged: the acknowledgement must go out too. A hub that has closed will not take it.
                while let Some(bytes) = self.session.poll_transmit() {
                    let _ = self.io.write_all(&bytes).await;
                }
                return Some(event);
            }
            self.flush().await;
            match self.io.read(&mut buffer).await.unwrap() {
                0 => return None,
                count => self.session.handle_bytes(&buffer[..count]),
            }
        }
    }

    pub async fn message(&mut self) -> Publish {
        match self.next().await.expect("a message") {
            client::Event::Message(publish) => publish,
            other => panic!("{other:?}"),
        }
    }

    pub async fn subscribe(&mut self, filter: &str, qos: Qos) -> Option<Qos> {
        self.session.subscribe(vec![(filter.to_owned(), qos)]);
        match self.next().await.expect("an answer to SUBSCRIBE") {
            client::Event::Subscribed { granted, .. } => granted[0],
            other => panic!("{other:?}"),
        }
    }

    pub fn publish(&mut self, topic: &str, payload: impl Into<Bytes>, qos: Qos) -> u16 {
        self.session.publish(topic.to_owned(), payload.into(), qos)
    }

    pub async fn closed(&mut self) {
        while let Some(event) = self.next().await {
            assert!(!matches!(event, client::Event::Malformed(_)), "{event:?}");
        }
    }

    /// Breaks the connection off and waits until the hub has noticed.
    pub async fn vanish(self) {
        drop(self.io);
        self.served.await.unwrap();
    }

    pub async fn leave(mut self) {
        self.session.disconnect();
        self.flush().await;
        self.closed().await;
        self.served.await.unwrap();
    }
}

pub fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}
