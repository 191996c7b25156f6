//! One connection: TLS, the exchange on it, and a time limit on everything.

use std::{collections::BTreeMap, time::Duration};

use aws_lc_rs::rand;
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tracing::{info, warn};
use usher_domain::ids::hex;
use usher_hub::HubError;
use usher_mqtt::packet::Connect;
use usher_wire::{Broken, Machine as _, Wire};

use crate::{
    address::Address,
    exchange::{Exchange, Job, Outcome},
};

/// Time for a connection until it takes jobs: TCP, TLS, MQTT. A caller has 8 s in all.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Time for a job. A broker with few clients needs milliseconds; with thousands, whose files it writes at each change, a good part of a
/// second.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// Jobs under way at once: enough to keep the broker busy, which does one after the other, and few enough that one that waits for the
/// others' turns is not taken for one that is not answered.
const IN_FLIGHT_MAX: usize = 4;
/// Jobs that wait for their turn; further callers wait with them, as long as they have time.
const WAITING_MAX: usize = 64;
/// Told to the broker, which gives up a silent client after one and a half times this.
const KEEP_ALIVE_S: u16 = 30;
/// Time between pings. Silence for a whole one of these means that the connection is lost.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A job and who waits for its outcome.
pub struct Request {
    /// What to do.
    pub job: Job,
    /// Hears the outcome; dropped where the connection is lost.
    pub reply: oneshot::Sender<Result<Outcome, HubError>>,
}

/// Connects, and serves requests until the connection is lost or nobody can send any.
///
/// # Errors
/// [`HubError::Unauthorized`] where the broker refuses the user; [`HubError::Unavailable`] otherwise.
pub async fn open(address: &Address, connector: &TlsConnector) -> Result<mpsc::Sender<Request>, HubError> {
    let place = format!("{}:{}", address.host, address.port);
    let unavailable = |why: String| HubError::Unavailable(format!("{place}: {why}"));
    let work = async {
        let name = ServerName::try_from(address.host.clone()).map_err(|why| unavailable(why.to_string()))?;
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|why| unavailable(why.to_string()))?;
        stream.set_nodelay(true).map_err(|why| unavailable(why.to_string()))?;
        let io = connector.connect(name, stream).await.map_err(|why| unavailable(format!("TLS: {why}")))?;
        Line::greet(io, address).await
    };
    let line = timeout(CONNECT_MAX, work).await.map_err(|_| unavailable("no connection in time".into()))??;
    info!(broker = place, user = address.user, "connected to the broker");
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    tokio::spawn(serve(line, requests, place));
    Ok(sender)
}

/// The stream and the exchange on it.
struct Line {
    wire: Wire<TlsStream<TcpStream>>,
    exchange: Exchange,
}

impl Line {
    async fn greet(io: TlsStream<TcpStream>, address: &Address) -> Result<Self, HubError> {
        let mut random = [0_u8; 8];
        rand::fill(&mut random).map_err(|_| HubError::Unavailable("there is no randomness to be had".into()))?;
        let tag = format!("usher-{}", hex(&random));
        let connect = Connect {
            client_id: tag.clone(),
            clean_session: true,
            keep_alive_s: KEEP_ALIVE_S,
            user_name: Some(address.user.clone()),
            password: Some(Bytes::from(address.password.expose().to_owned().into_bytes())),
            ..Connect::default()
        };
        let mut line = Self { wire: Wire::new(io, Instant::now()), exchange: Exchange::connect(connect, tag) };
        loop {
            if let Some(fault) = line.exchange.fault() {
                return Err(fault.clone());
            }
            if line.exchange.is_ready() {
                return Ok(line);
            }
            line.wire.turn(&mut line.exchange).await.map_err(|why| HubError::Unavailable(why.to_string()))?;
        }
    }
}

/// Who waits for a job, and until when.
struct Waiter {
    until: Instant,
    reply: oneshot::Sender<Result<Outcome, HubError>>,
}

async fn serve(mut line: Line, mut requests: mpsc::Receiver<Request>, place: String) {
    let mut waiters = BTreeMap::new();
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    match converse(&mut line, &mut requests, &mut waiters, &mut pings).await {
        Ok(()) => {
            line.exchange.disconnect();
            line.wire.finish(&mut line.exchange).await;
        }
        Err(End::Lost(why)) => {
            info!(broker = place, detail = %why, "the connection to the broker is lost; the next request makes a new one");
        }
        Err(End::Fault(why)) => {
            warn!(broker = place, detail = %why, "the connection to the broker is given up; the next request makes a new one");
            for (_, waiter) in waiters {
                let _ = waiter.reply.send(Err(why.clone()));
            }
        }
    }
}

/// Why a connection ends.
enum End {
    /// It was cut. Who waits may try again at once: brokers close an administrator's connection when its rights change, or restart.
    Lost(Broken),
    /// The broker is at fault, or too slow.
    Fault(HubError),
}

/// Ends well where nobody can send a request any more.
async fn converse(
    line: &mut Line,
    requests: &mut mpsc::Receiver<Request>,
    waiters: &mut BTreeMap<u64, Waiter>,
    pings: &mut Interval,
) -> Result<(), End> {
    loop {
        while let Some((id, outcome)) = line.exchange.poll_event() {
            if let Some(waiter) = waiters.remove(&id) {
                // A caller that has given up does not hear it.
                let _ = waiter.reply.send(outcome);
            }
        }
        if let Some(fault) = line.exchange.fault() {
            return Err(End::Fault(fault.clone()));
        }
        // Jobs are numbered as they come and have equal time, so the first is the first to be overdue.
        let overdue = waiters.first_key_value().map(|(id, waiter)| (*id, waiter.until));
        tokio::select! {
            turned = line.wire.turn(&mut line.exchange) => turned.map_err(End::Lost)?,
            request = requests.recv(), if waiters.len() < IN_FLIGHT_MAX => {
                let Some(request) = request else { return Ok(()) };
                let id = line.exchange.begin(request.job);
                waiters.insert(id, Waiter { until: Instant::now() + ANSWER_MAX, reply: request.reply });
            }
            () = sleep_until(overdue.map_or_else(Instant::now, |(_, until)| until)), if overdue.is_some() => {
                return Err(End::Fault(line.exchange.give_up(overdue.map_or(0, |(id, _)| id))));
            }
            _ = pings.tick() => {
                if !line.exchange.was_heard() {
                    return Err(End::Fault(HubError::Unavailable("the broker has fallen silent".into())));
                }
                line.exchange.ping();
            }
        }
    }
}
