//! Being a device over MQTT: what a provisioning and a hub connection share, and the provisioning conversation.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use usher_mqtt::{
    client::{Event, Session},
    packet::{Connect, ConnectCode, Qos},
};

use crate::{
    Failure, Profile,
    exchange::{API_VERSION, Answer, Exchange},
    pump::Pump,
    trace::Trace,
};

const RESPONSES: &str = "$dps/registrations/res/";

impl<IO: AsyncRead + AsyncWrite + Unpin> Pump<Session, IO> {
    /// Connects as `connect` says; an error where the server refuses.
    pub async fn open(io: IO, connect: Connect) -> Result<Self, Failure> {
        let mut pump = Self::new(io, Session::connect(connect));
        match pump.event("MQTT connect").await? {
            Event::Connected(ConnectCode::Accepted) => Ok(pump),
            Event::Connected(code) => {
                let next = "Check the user name and the credential; the server's log names the failed check.";
                Err(Failure::new("MQTT connect", format!("the server refused: {code:?}"), next))
            }
            other => Err(unexpected("MQTT connect", &other)),
        }
    }

    /// Subscribes and waits for the grant.
    pub async fn subscribe(&mut self, filter: &str) -> Result<(), Failure> {
        self.session.subscribe(vec![(filter.to_owned(), Qos::AtLeastOnce)]);
        match self.event("MQTT subscribe").await? {
            Event::Subscribed { granted, .. } if granted.iter().all(Option::is_some) => Ok(()),
            other => Err(unexpected("MQTT subscribe", &other)),
        }
    }

    /// Publishes and waits for the first message under `prefix`; returns its topic and payload.
    pub async fn ask(&mut self, step: &'static str, topic: String, body: Vec<u8>, prefix: &str) -> Result<(String, Bytes), Failure> {
        self.session.publish(topic, Bytes::from(body), Qos::AtLeastOnce);
        loop {
            match self.event(step).await? {
                Event::Message(message) if message.topic.starts_with(prefix) => return Ok((message.topic, message.payload)),
                Event::Message(_) | Event::Published { .. } => {}
                other => return Err(unexpected(step, &other)),
            }
        }
    }

    /// Says goodbye.
    pub async fn disconnect(mut self) {
        self.session.disconnect();
        self.close().await;
    }
}

fn unexpected(step: &'static str, event: &Event) -> Failure {
    Failure::new(step, format!("an unexpected answer: {event:?}"), "Is this an Azure-compatible endpoint?")
}

/// A provisioning conversation over MQTT.
pub struct Mqtt<IO> {
    pump: Pump<Session, IO>,
    request_id: u32,
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Mqtt<IO> {
    /// Connects and subscribes.
    pub async fn open(io: IO, profile: &Profile, token: Option<String>, trace: &Trace<'_>) -> Result<Self, Failure> {
        let user_name = format!("{}/api-version={API_VERSION}&ClientVersion=usher%2F{}", profile.resource(), env!("CARGO_PKG_VERSION"));
        let connect = Connect {
            client_id: profile.registration_id.clone(),
            clean_session: true,
            keep_alive_s: 60,
            user_name: Some(user_name.clone()),
            password: token.map(|token| Bytes::from(token.into_bytes())),
            ..Connect::default()
        };
        let mut pump = Pump::open(io, connect).await?;
        trace.step(format!("MQTT connected as {user_name}"));
        pump.subscribe(&format!("{RESPONSES}#")).await?;
        trace.step(format!("subscribed to {RESPONSES}#"));
        Ok(Self { pump, request_id: 0 })
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.pump.disconnect().await;
    }

    async fn call(&mut self, step: &'static str, topic: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        self.request_id += 1;
        let topic = topic.replace("{rid}", &self.request_id.to_string());
        let (topic, body) = self.pump.ask(step, topic, body, RESPONSES).await?;
        let rest = topic.strip_prefix(RESPONSES).unwrap_or_default();
        let (status, query) = rest.split_once('/').unwrap_or((rest, ""));
        let status = status.parse().map_err(|_| Failure::new(step, format!("a strange topic: {topic}"), "Is this an Azure endpoint?"))?;
        let retry_after_s = query.split('&').find_map(|pair| pair.strip_prefix("retry-after=")).and_then(|text| text.parse().ok());
        Ok(Answer { status, retry_after_s, body })
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send> Exchange for Mqtt<IO> {
    async fn register(&mut self, body: Vec<u8>) -> Result<Answer, Failure> {
        self.call("register", "$dps/registrations/PUT/iotdps-register/?$rid={rid}", body).await
    }

    async fn status(&mut self, operation_id: &str) -> Result<Answer, Failure> {
        let topic = format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid={{rid}}&operationId={operation_id}");
        self.call("poll", &topic, Vec::new()).await
    }
}
