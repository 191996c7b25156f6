//! Tries the client side with a server of another maker that echoes: PLAIN, several rounds, bare AMQP, wrong passwords, refused links,
//! rejected messages, small and large ones. See `tests/rhea/server.js`. Ends with an error at the first surprise.

use std::{env, io, time::Instant};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};
use usher_amqp::{
    client::{Link, Options, Sasl, Session},
    codec::{
        message::{Message, Properties},
        performative::{DeliveryState, Role},
        types::Map,
    },
    event::{Close, Event, LinkId},
    limits::Limits,
    sasl::SaslCode,
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(5673_u16);
    let bare_port = port.saturating_add(1);
    let ways = [("PLAIN", port, Sasl::plain("device", "secret")), ("rounds", port, rounds()), ("bare", bare_port, Sasl::None)];
    for (name, port, sasl) in ways {
        let mut device = Device::connect(port, sasl).await?;
        device.echo_all().await?;
        device.rejected().await?;
        device.refused().await?;
        device.session.close();
        device.expect("the end", |event| matches!(event, Event::Closed(Close::ByDriver))).await?;
        println!("ok      {name}");
    }
    let mut device = Device::stream(port, Sasl::plain("device", "wrong")).await?;
    device.expect("a refusal", |event| matches!(event, Event::Closed(Close::Sasl(SaslCode::Auth)))).await?;
    println!("ok      a wrong password");
    Ok(())
}

fn rounds() -> Sasl {
    Sasl::Mechanism { name: "ROUNDS".into(), initial_response: Bytes::from_static(b"begin").into() }
}

struct Device {
    stream: TcpStream,
    session: Session,
    start: Instant,
    sender: Option<LinkId>,
}

impl Device {
    async fn stream(port: u16, sasl: Sasl) -> io::Result<Self> {
        let options = Options {
            container_id: "roundtrip".into(),
            hostname: Some("localhost".into()),
            sasl_hostname: None,
            sasl,
            limits: Limits::default(),
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        Ok(Self { stream, session: Session::connect(options, 0), start: Instant::now(), sender: None })
    }

    async fn connect(port: u16, sasl: Sasl) -> io::Result<Self> {
        let mut device = Self::stream(port, sasl).await?;
        device.expect("open", |event| matches!(event, Event::Open { .. })).await?;
        device.attach(Role::Receiver, "echo")?;
        device.expect("a link to receive on", |event| matches!(event, Event::Attached(_))).await?;
        device.sender = Some(device.attach(Role::Sender, "echo")?);
        device.expect("a link to send on", |event| matches!(event, Event::Attached(_))).await?;
        Ok(device)
    }

    fn attach(&mut self, role: Role, address: &str) -> io::Result<LinkId> {
        let link = Link { role, name: format!("{role:?} {address}"), address: address.into(), properties: Map::new() };
        self.session.attach(link).map_err(io::Error::other)
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        let sender = self.sender.ok_or_else(|| io::Error::other("not attached"))?;
        self.session.send(sender, message).map(drop).map_err(io::Error::other)
    }

    async fn echo_all(&mut self) -> io::Result<()> {
        for size in [0, 1, 300, 4096, 100 * 1024] {
            let message = Message {
                properties: Properties { correlation_id: Some(format!("id {size}").into()), ..Properties::default() },
                application_properties: Map::new().with("iotdps-operation-type", "iotdps-register"),
                ..Message::data(vec![b'x'; size])
            };
            self.send(&message)?;
            let back = self.outcome_and_echo().await?;
            let same = back.properties.correlation_id == message.properties.correlation_id
                && back.application_properties == message.application_properties
                && back.data_bytes() == message.data_bytes();
            if !same {
                return Err(io::Error::other(format!("another message came back for {size} bytes")));
            }
        }
        Ok(())
    }

    /// In whichever order the server tells them.
    async fn outcome_and_echo(&mut self) -> io::Result<Message> {
        let (mut accepted, mut echo) = (false, None);
        loop {
            match self.next().await? {
                Event::Settled { state: Some(DeliveryState::Accepted), .. } => accepted = true,
                Event::Message { delivery, message } => {
                    self.session.accept(delivery);
                    echo = Some(*message);
                }
                other => return Err(io::Error::other(format!("neither outcome nor echo: {other:?}"))),
            }
            if accepted && let Some(message) = echo.take() {
                return Ok(message);
            }
        }
    }

    async fn rejected(&mut self) -> io::Result<()> {
        let properties = Properties { subject: Some("reject".into()), ..Properties::default() };
        self.send(&Message { properties, ..Message::data("x") })?;
        self.expect("rejected, and why", |event| match event {
            Event::Settled { state: Some(DeliveryState::Rejected(Some(error))), .. } => {
                error.condition == "amqp:not-allowed" && error.info.get("retry-after").is_some_and(|value| value.as_i64() == Some(3))
            }
            _ => false,
        })
        .await
        .map(drop)
    }

    async fn refused(&mut self) -> io::Result<()> {
        let link = self.attach(Role::Receiver, "refused")?;
        // rhea agrees first and detaches then.
        let event = self.next().await?;
        if !matches!(event, Event::Attached(_) | Event::Detached { .. }) {
            return Err(io::Error::other(format!("{event:?}")));
        }
        if matches!(event, Event::Attached(_)) {
            self.expect("detached", |event| matches!(event, Event::Detached { link: gone, error: Some(_) } if *gone == link)).await?;
        }
        Ok(())
    }

    async fn expect(&mut self, what: &str, holds: impl Fn(&Event) -> bool) -> io::Result<Event> {
        let event = self.next().await?;
        if holds(&event) { Ok(event) } else { Err(io::Error::other(format!("{what} was due, not {event:?}"))) }
    }

    async fn next(&mut self) -> io::Result<Event> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            while let Some(bytes) = self.session.poll_transmit() {
                self.stream.write_all(&bytes).await?;
            }
            match self.session.poll_event() {
                Some(Event::SaslChallenge(_)) => {
                    self.session.sasl_response(&b"proof"[..]);
                    continue;
                }
                Some(event) => return Ok(event),
                None => {}
            }
            let read = timeout(Duration::from_secs(10), self.stream.read(&mut buffer)).await.map_err(io::Error::other)??;
            let now_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            match buffer.get(..read) {
                Some(bytes) if read > 0 => self.session.handle_bytes(bytes, now_ms),
                _ => self.session.handle_lost(),
            }
        }
    }
}
