//! An AMQP server that sends back what it is sent, for trying the engine with clients of other makers. Plain TCP on loopback.
//!
//! `cargo run -p usher-amqp --example echo -- 5672`. PLAIN takes the password `secret`; AMQP without SASL is taken too. A message is
//! sent back on the first link that the client receives on, with its correlation-id. A link at the address `refused` is refused, a
//! message with the subject `reject` is rejected, one with the subject `detach` ends its link, one with `close` the connection.

use std::{env, io, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Duration, timeout},
};
use usher_amqp::{
    codec::{
        message::{Message, Properties},
        performative::{AmqpError, Role},
        types::{Map, Symbol},
    },
    event::{Delivery, Event, LinkId},
    limits::Limits,
    sasl::SaslCode,
    server::{Options, Session},
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(5672_u16);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let start = Instant::now();
    let now_ms = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let options = Options { container_id: "echo".into(), mechanisms: vec!["PLAIN".into(), "ROUNDS".into()], limits: Limits::default() };
    let mut echo = Echo { session: Session::new(options, 0), replies: None, steps: 0 };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        while let Some(event) = echo.session.poll_event() {
            println!("{}", summary(&event));
            echo.handle(event);
        }
        while let Some(bytes) = echo.session.poll_transmit() {
            stream.write_all(&bytes).await?;
        }
        if echo.session.is_closed() {
            return stream.shutdown().await;
        }
        let wait = echo.session.poll_timeout().map_or(u64::MAX, |due| due.saturating_sub(now_ms()));
        match timeout(Duration::from_millis(wait), stream.read(&mut buffer)).await {
            Ok(Ok(0)) => echo.session.handle_lost(),
            Ok(Ok(count)) => echo.session.handle_bytes(buffer.get(..count).unwrap_or_default(), now_ms()),
            Ok(Err(error)) => return Err(error),
            Err(_) => echo.session.handle_timeout(now_ms()),
        }
    }
}

fn summary(event: &Event) -> String {
    match event {
        Event::Message { message, .. } => format!("message of {:?} bytes", message.data_bytes().map(|bytes| bytes.len())),
        other => format!("{other:?}"),
    }
}

struct Echo {
    session: Session,
    replies: Option<LinkId>,
    steps: u32,
}

impl Echo {
    fn handle(&mut self, event: Event) {
        match event {
            Event::SaslInit { mechanism, .. } if mechanism == "ROUNDS" => self.session.sasl_challenge(vec![0]),
            Event::SaslInit { initial_response, .. } => {
                let known = initial_response.0.rsplit(|byte| *byte == 0).next() == Some(b"secret");
                self.session.sasl_outcome(if known { SaslCode::Ok } else { SaslCode::Auth });
            }
            Event::SaslResponse(_) if self.steps < 2 => {
                self.steps += 1;
                self.session.sasl_challenge(vec![0x80; 400]);
            }
            Event::SaslResponse(_) => self.session.sasl_outcome(SaslCode::Ok),
            Event::Attached(attached) => {
                let ours = if attached.role == Role::Sender { &attached.target } else { &attached.source };
                if ours.as_deref() == Some("refused") {
                    return self.session.refuse_attach(attached.link, AmqpError::new("amqp:not-found", "{\"errorCode\":404201}"));
                }
                self.session.accept_attach(attached.link);
                if attached.role == Role::Receiver {
                    self.replies.get_or_insert(attached.link);
                }
            }
            Event::Message { delivery, message } => self.answer(delivery, *message),
            _ => {}
        }
    }

    fn answer(&mut self, delivery: Delivery, message: Message) {
        let error = AmqpError {
            info: Map::new().with(Symbol::from("retry-after"), 3_i32),
            ..AmqpError::new("com.microsoft:device-container-throttled", "{\"errorCode\":429001}")
        };
        match message.properties.subject.as_deref() {
            Some("reject") => return self.session.reject(delivery, error),
            Some("detach") => return self.session.detach(delivery.link(), Some(error)),
            Some("close") => return self.session.close(Some(error)),
            _ => self.session.accept(delivery),
        }
        let Some(link) = self.replies else { return };
        let properties = Properties { correlation_id: message.properties.correlation_id, ..Properties::default() };
        let reply =
            Message { properties, application_properties: message.application_properties, body: message.body, ..Message::default() };
        if let Err(error) = self.session.send(link, &reply) {
            eprintln!("reply: {error}");
        }
    }
}
