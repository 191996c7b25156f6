//! One connection to the broker without I/O: jobs go in, MQTT goes out and in, outcomes come out.
//!
//! A job's packets go out in one order: what to retain, what to read, commands. A broker works through them in that order, and the
//! plugin answers last; so when the answers are here, every retained message that was asked for is here too, and one that is not does
//! not exist.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::Value;
use usher_hub::HubError;
use usher_mqtt::{
    client::{Event, Session},
    packet::{Connect, ConnectCode, Publish, Qos},
};
use usher_wire::Machine;

use crate::{
    answer::{self, Answer},
    command,
};

/// Where commands go (mosquitto: plugins/dynamic-security/README.md).
const CONTROL: &str = "$CONTROL/dynamic-security/v1";
/// Where answers come.
pub const RESPONSE: &str = "$CONTROL/dynamic-security/v1/response";

/// Something to do on the broker.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Messages to retain, or to remove where empty.
    pub retain: Vec<(String, Bytes)>,
    /// Topics whose retained messages to read.
    pub read: Vec<String>,
    /// Commands to the plugin. At least one: its answer is the end of the job.
    pub commands: Vec<Value>,
}

/// What came of a job.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The retained messages that were asked for and exist.
    pub retained: BTreeMap<String, Bytes>,
    /// The answers, in the order of the commands.
    pub answers: Vec<Answer>,
}

/// How far the connection is.
#[derive(Debug)]
enum Stage {
    /// CONNACK, then SUBACK for the answers, are expected.
    Greeting,
    /// Jobs can be taken.
    Ready,
    /// It is over.
    Over(HubError),
}

/// A job under way.
#[derive(Debug)]
struct Running {
    /// Packets without an acknowledgement.
    unacknowledged: usize,
    read: Vec<String>,
    retained: BTreeMap<String, Bytes>,
    answers: Vec<Option<Answer>>,
}

/// One connection.
#[derive(Debug)]
pub struct Exchange {
    session: Session,
    stage: Stage,
    user: String,
    /// Tells our answers from those to other administrators.
    tag: String,
    jobs: BTreeMap<u64, Running>,
    /// The job of each unacknowledged packet.
    owners: BTreeMap<u16, u64>,
    last_job: u64,
    heard: bool,
    done: VecDeque<(u64, Result<Outcome, HubError>)>,
}

impl Exchange {
    /// Begins a connection. `tag` must be unlike that of any other connection to the broker.
    pub fn connect(connect: Connect, tag: String) -> Self {
        Self {
            user: connect.user_name.clone().unwrap_or_default(),
            session: Session::connect(connect),
            stage: Stage::Greeting,
            tag,
            jobs: BTreeMap::new(),
            owners: BTreeMap::new(),
            last_job: 0,
            heard: true,
            done: VecDeque::new(),
        }
    }

    /// Whether jobs can be taken.
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready)
    }

    /// Why it is over, if it is.
    pub fn fault(&self) -> Option<&HubError> {
        match &self.stage {
            Stage::Over(error) => Some(error),
            _ => None,
        }
    }

    /// Begins a job; its outcome will come under the number returned.
    pub fn begin(&mut self, job: Job) -> u64 {
        self.last_job += 1;
        let id = self.last_job;
        let answers = job.commands.iter().map(|_| None).collect();
        let message = command::message(job.commands, &format!("{}.{id}", self.tag));
        let mut packets: Vec<u16> = job.retain.into_iter().map(|(topic, payload)| self.session.retain(topic, payload)).collect();
        if !job.read.is_empty() {
            packets.push(self.session.subscribe(job.read.iter().map(|topic| (topic.clone(), Qos::AtMostOnce)).collect()));
        }
        packets.push(self.session.publish(CONTROL.into(), message, Qos::AtLeastOnce));
        if packets.contains(&0) {
            self.done.push_back((id, Err(HubError::Rejected("the twin or a name in it is too long for MQTT".into()))));
        } else {
            self.owners.extend(packets.iter().map(|packet| (*packet, id)));
            self.jobs.insert(id, Running { unacknowledged: packets.len(), read: job.read, retained: BTreeMap::new(), answers });
        }
        self.work();
        id
    }

    /// Says that the broker should still be there, and asks it.
    pub fn ping(&mut self) {
        self.session.ping();
    }

    /// Says goodbye.
    pub fn disconnect(&mut self) {
        self.session.disconnect();
    }

    /// Whether anything came since this was asked last.
    pub fn was_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// Gives up a job that takes too long; says why it may.
    pub fn give_up(&mut self, id: u64) -> HubError {
        let why = match self.jobs.remove(&id) {
            Some(job) if job.unacknowledged == 0 => format!(
                "the broker took a command, and no answer came: is the dynamic-security plugin loaded, and may user {:?} publish to \
                 {CONTROL} and receive from {RESPONSE}?",
                self.user
            ),
            _ => "the broker does not answer in time".to_owned(),
        };
        HubError::Unavailable(why)
    }

    fn work(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Connected(ConnectCode::Accepted) => {
                    self.session.subscribe(vec![(RESPONSE.into(), Qos::AtLeastOnce)]);
                }
                Event::Connected(code) => self.stage = Stage::Over(refusal(code, &self.user)),
                Event::Subscribed { granted, .. } if matches!(self.stage, Stage::Greeting) => self.handle_greeting(&granted),
                Event::Subscribed { packet_id, granted } => self.handle_subscribed(packet_id, &granted),
                Event::Published { packet_id } => self.handle_acknowledged(packet_id),
                Event::Message(message) if message.topic == RESPONSE => self.handle_answers(&message.payload),
                Event::Message(message) => self.handle_message(message),
                Event::Malformed(error) => {
                    self.stage = Stage::Over(HubError::Unavailable(format!("the broker is not understood: {error}")))
                }
                Event::Unexpected => self.stage = Stage::Over(HubError::Unavailable("the broker sends what has no place in MQTT".into())),
                Event::Unsubscribed { .. } | Event::Unsendable(_) | Event::TooManyRequests => {}
            }
        }
    }

    fn handle_greeting(&mut self, granted: &[Option<Qos>]) {
        self.stage = if granted.iter().all(Option::is_some) {
            Stage::Ready
        } else {
            Stage::Over(HubError::Unauthorized(format!("the broker does not let user {:?} subscribe to {RESPONSE}", self.user)))
        };
    }

    fn handle_subscribed(&mut self, packet_id: u16, granted: &[Option<Qos>]) {
        if granted.iter().all(Option::is_some) {
            return self.handle_acknowledged(packet_id);
        }
        if let Some((id, job)) = self.owners.remove(&packet_id).and_then(|id| Some((id, self.jobs.remove(&id)?))) {
            let why = format!("the broker does not let user {:?} subscribe to {}", self.user, job.read.join(", "));
            self.done.push_back((id, Err(HubError::Unauthorized(why))));
        }
    }

    fn handle_acknowledged(&mut self, packet_id: u16) {
        let Some(id) = self.owners.remove(&packet_id) else { return };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.unacknowledged = job.unacknowledged.saturating_sub(1);
            self.finish(id);
        }
    }

    fn handle_message(&mut self, message: Publish) {
        // One that is not marked as retained is news that the subscription brought along.
        if message.retain {
            for job in self.jobs.values_mut().filter(|job| job.read.contains(&message.topic)) {
                job.retained.insert(message.topic.clone(), message.payload.clone());
            }
        }
    }

    fn handle_answers(&mut self, payload: &[u8]) {
        for (correlation, place, answer) in answer::read(payload) {
            let Some((tag, id)) = correlation.rsplit_once('.') else { continue };
            let Some(id) = id.parse().ok().filter(|_| tag == self.tag) else { continue };
            if let Some(slot) = self.jobs.get_mut(&id).and_then(|job| job.answers.get_mut(place)) {
                *slot = Some(answer);
                self.finish(id);
            }
        }
    }

    /// Ends the job if it has all it waits for.
    fn finish(&mut self, id: u64) {
        let whole = |job: &Running| job.unacknowledged == 0 && job.answers.iter().all(Option::is_some);
        if !self.jobs.get(&id).is_some_and(whole) {
            return;
        }
        if let Some(job) = self.jobs.remove(&id) {
            if !job.read.is_empty() {
                self.session.unsubscribe(job.read);
            }
            self.done.push_back((id, Ok(Outcome { retained: job.retained, answers: job.answers.into_iter().flatten().collect() })));
        }
    }
}

/// Time is its driver's affair.
impl Machine for Exchange {
    type Event = (u64, Result<Outcome, HubError>);

    fn handle_bytes(&mut self, bytes: &[u8], _now_ms: u64) {
        self.heard = true;
        self.session.handle_bytes(bytes);
        self.work();
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.done.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.session.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<u64> {
        None
    }

    fn handle_timeout(&mut self, _now_ms: u64) {}

    fn handle_lost(&mut self) {
        self.session.handle_lost();
    }

    fn is_closed(&self) -> bool {
        self.session.is_closed()
    }
}

fn refusal(code: ConnectCode, user: &str) -> HubError {
    match code {
        ConnectCode::BadCredentials | ConnectCode::NotAuthorized => {
            HubError::Unauthorized(format!("the broker refuses user {user:?}: link the hub with the right user and password"))
        }
        other => HubError::Unavailable(format!("the broker refuses the connection: {other:?}")),
    }
}

#[cfg(test)]
mod tests;
