//! Devices that speak AMQP to the hub of a test bed over a pipe.
#![allow(clippy::unwrap_used, dead_code)]

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};
use usher_amqp::{
    client::{Link, Options, Sasl, Session},
    codec::{
        message::{Body, Message, Properties},
        performative::{AmqpError, DeliveryState, Role},
        types::{Map, Symbol, Value},
    },
    event::{Close, Delivery, Event, LinkId},
    limits::Limits,
    server,
};
use usher_api_hub::{PeerEvidence, amqp};
use usher_hub_embedded::EmbeddedHubs;
use usher_wire::Wire;

use crate::bed::{Bed, HUB};

/// Long enough for a busy machine; nothing that passes waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A device on the other end of the pipe.
pub struct Device {
    pub session: Session,
    io: DuplexStream,
    served: JoinHandle<()>,
}

/// A device that opens a connection to `host`, with a certificate where it has one, and has proved nothing yet.
pub async fn dial(bed: &Bed, host: &str, chain: Vec<Vec<u8>>) -> Device {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let served = tokio::spawn(accept(bed.hubs.clone(), far, chain, bed.stop.subscribe()));
    let options = Options {
        container_id: "device".into(),
        hostname: Some(host.to_owned()),
        sasl_hostname: None,
        sasl: Sasl::None,
        limits: Limits { message_bytes: 512 * 1024, ..Limits::default() },
    };
    let mut device = Device { session: Session::connect(options, 0), io: near, served };
    assert!(matches!(device.next().await, Some(Event::Open { .. })));
    device
}

/// What the server does with a fresh connection: reads until the first link and hands over.
async fn accept(hubs: Arc<EmbeddedHubs>, mut io: DuplexStream, chain: Vec<Vec<u8>>, stop: watch::Receiver<bool>) {
    let origin = Instant::now();
    let options = server::Options { container_id: "usher".into(), mechanisms: vec![], limits: amqp::limits() };
    let mut session = server::Session::new(options, 0);
    let (mut buffer, mut host) = ([0; 4096], String::new());
    let first = loop {
        while let Some(bytes) = session.poll_transmit() {
            io.write_all(&bytes).await.unwrap();
        }
        match session.poll_event() {
            Some(Event::Open { hostname, .. }) => host = hostname.unwrap(),
            Some(event) => break event,
            None => {
                let count = io.read(&mut buffer).await.unwrap();
                session.handle_bytes(&buffer[..count], 0);
            }
        }
    };
    assert!(amqp::is_ours(&first), "{first:?}");
    let peer = PeerEvidence { chain, addr: "127.0.0.1:50000".parse().unwrap() };
    amqp::serve(hubs, &host, first, session, Wire::new(io, origin), peer, stop).await;
}

/// A device that has put a token of its own key.
pub async fn connect(bed: &Bed, name: &str) -> Device {
    let mut device = dial(bed, HUB, vec![]).await;
    let token = bed.device_token(name, 3_600).await;
    assert_eq!(device.put_token(&format!("{HUB}%2Fdevices%2F{name}"), &token).await.0, 200);
    device
}

impl Device {
    pub async fn flush(&mut self) {
        while let Some(bytes) = self.session.poll_transmit() {
            // A hub that has closed takes nothing more.
            let _ = self.io.write_all(&bytes).await;
        }
    }

    /// The next thing that the device hears; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.hear()).await.expect("something is heard in time")
    }

    async fn hear(&mut self) -> Option<Event> {
        let mut buffer = [0; 8192];
        loop {
            if let Some(event) = self.session.poll_event() {
                self.flush().await;
                return Some(event);
            }
            self.flush().await;
            match self.io.read(&mut buffer).await.unwrap() {
                0 => return None,
                count => self.session.handle_bytes(&buffer[..count], 0),
            }
        }
    }

    /// Asks for a link; gives it, or the error that it is refused with.
    pub async fn attach(&mut self, role: Role, address: &str) -> Result<LinkId, AmqpError> {
        let name = format!("{role:?} {address}");
        let asked = self.session.attach(Link { role, name, address: address.to_owned(), properties: Map::new() }).unwrap();
        match self.next().await {
            Some(Event::Attached(attached)) => {
                assert_eq!(attached.link, asked);
                Ok(asked)
            }
            Some(Event::Detached { error, .. }) => Err(error.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// Both links of a node: to it, and from it.
    pub async fn attach_both(&mut self, address: &str) -> (LinkId, LinkId) {
        (self.attach(Role::Sender, address).await.unwrap(), self.attach(Role::Receiver, address).await.unwrap())
    }

    /// Puts a token over links of its own; gives the status and its description.
    pub async fn put_token(&mut self, audience: &str, token: &str) -> (i64, String) {
        let (tokens, answers) = self.attach_both("$cbs").await;
        let outcome = self.put_token_on(tokens, audience, token).await;
        for link in [tokens, answers] {
            self.session.detach(link);
        }
        self.flush().await;
        outcome
    }

    async fn put_token_on(&mut self, tokens: LinkId, audience: &str, token: &str) -> (i64, String) {
        let application_properties =
            Map::new().with("operation", "put-token").with("type", "servicebus.windows.net:sastoken").with("name", audience);
        let properties = Properties { message_id: Some("put-1".into()), ..Properties::default() };
        let body = Body::Value(Value::String(token.to_owned()));
        let request = Message { properties, application_properties, body, ..Message::default() };
        assert_eq!(self.send(tokens, &request).await, Some(DeliveryState::Accepted));
        let answer = self.message().await;
        assert_eq!(answer.properties.correlation_id, Some("put-1".into()));
        let status = answer.application_properties.get("status-code").unwrap().as_i64().unwrap();
        (status, answer.application_properties.get_str("status-description").unwrap().to_owned())
    }

    /// Sends a message and waits for its outcome.
    pub async fn send(&mut self, link: LinkId, message: &Message) -> Option<DeliveryState> {
        let sent = self.session.send(link, message).unwrap();
        match self.next().await {
            Some(Event::Settled { delivery, state }) => {
                assert_eq!(delivery, sent);
                state
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asks the twin; gives status, version and body.
    pub async fn ask_twin(&mut self, link: LinkId, operation: &str, resource: &str, body: &str) -> (i64, Option<i64>, String) {
        let mut annotations = Map::new().with(Symbol::from("operation"), operation);
        if !resource.is_empty() {
            annotations.push(Symbol::from("resource"), resource);
        }
        let properties = Properties { correlation_id: Some("ask-1".into()), ..Properties::default() };
        let request = Message { message_annotations: annotations, properties, ..Message::data(body.to_owned()) };
        assert_eq!(self.send(link, &request).await, Some(DeliveryState::Accepted));
        let answer = self.message().await;
        assert_eq!(answer.properties.correlation_id, Some("ask-1".into()));
        let number = |name| answer.message_annotations.get(name).and_then(Value::as_i64);
        (number("status").unwrap(), number("version"), text(&answer))
    }

    /// The next delivery, unsettled.
    pub async fn delivery(&mut self) -> (Delivery, Message) {
        match self.next().await {
            Some(Event::Message { delivery, message }) => (delivery, *message),
            other => panic!("{other:?}"),
        }
    }

    /// The next message, accepted.
    pub async fn message(&mut self) -> Message {
        let (delivery, message) = self.delivery().await;
        self.session.accept(delivery);
        self.flush().await;
        message
    }

    /// Why the hub closed the connection.
    pub async fn closed(&mut self) -> AmqpError {
        loop {
            match self.next().await {
                Some(Event::Closed(Close::ByPeer(error))) => return error.unwrap(),
                Some(_) => {}
                None => panic!("the stream ended without a word"),
            }
        }
    }

    pub async fn leave(mut self) {
        self.session.close();
        while self.next().await.is_some() {}
        self.served.await.unwrap();
    }
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.data_bytes().unwrap_or_default().to_vec()).unwrap()
}
