//! The hub as provisioning sees it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rustls::RootCertStore;
use tokio::time::timeout;
use tracing::warn;
use usher_domain::{
    DeviceId, Secret,
    hub_device::{DeviceSpec, InitialTwin},
};
use usher_hub::{BoxFuture, Hub, HubError, TwinWrite};

use crate::{
    address::{Address, InvalidAddress},
    answer::{Answer, Judgement},
    broker::Broker,
    command,
    exchange::{Job, Outcome},
    names::Names,
    plan::{self, Client, Role, Seen},
    twin,
};

/// The longest a call takes; provisioning gives up after 8 s.
const CALL_MAX: Duration = Duration::from_secs(7);
/// Times that a call looks again where someone else changed the device in between.
const ATTEMPTS_MAX: usize = 3;

/// A Mosquitto broker with its dynamic-security plugin, as a hub.
pub struct MosquittoHub {
    broker: Broker,
}

impl MosquittoHub {
    /// A broker by its URL, `mosquitto://user:password@host:port`, whose certificate must chain to `trust`. Nothing is connected before
    /// the first call, which needs a tokio runtime.
    ///
    /// # Errors
    /// Where the URL is none of that form.
    pub fn new(url: &Secret, trust: Arc<RootCertStore>) -> Result<Self, InvalidAddress> {
        let address = Address::parse(url)?;
        let broker = Broker::new(address, trust).map_err(|_| InvalidAddress::NO_TLS)?;
        Ok(Self { broker })
    }

    async fn ensure(&self, spec: &DeviceSpec, write: TwinWrite<'_>) -> Result<(), HubError> {
        let names = Names::of(&spec.device_id)?;
        let password = plan::password(spec, unknown_password()?)?;
        for _ in 0..ATTEMPTS_MAX {
            let seen = self.look(&names).await?;
            if seen.client == Client::Stranger {
                return Err(stranger(&names));
            }
            self.retain(&names, plan::messages(&names, &seen, write)).await?;
            let job = Job { commands: plan::commands(&names, &seen, &password), ..Job::default() };
            if all_done(&self.broker.run(job).await?.answers)? {
                return Ok(());
            }
        }
        Err(HubError::Unavailable(format!("someone else keeps changing the client {:?} on the broker", names.user())))
    }

    async fn twin(&self, device_id: &DeviceId) -> Result<Option<InitialTwin>, HubError> {
        // An ID that a broker cannot serve names no device there.
        let Ok(names) = Names::of(device_id) else { return Ok(None) };
        let seen = self.look(&names).await?;
        match (seen.client, &seen.desired) {
            (Client::Ours { .. }, Some(desired)) => twin::read(desired, seen.tags.as_ref()).map(Some),
            _ => Ok(None),
        }
    }

    async fn delete(&self, device_id: &DeviceId) -> Result<(), HubError> {
        let Ok(names) = Names::of(device_id) else { return Ok(()) };
        let seen = self.look(&names).await?;
        let mut commands = Vec::new();
        match seen.client {
            Client::Stranger => {
                warn!(client = names.user(), "this client on the broker was not made by usher and is left there");
                return Ok(());
            }
            Client::Ours { .. } => commands.push(command::delete_client(&names)),
            Client::Absent => {}
        }
        if seen.role != Role::Absent {
            commands.push(command::delete_role(&names));
        }
        if !commands.is_empty() {
            // What is gone already was to be gone.
            all_done(&self.broker.run(Job { commands, ..Job::default() }).await?.answers)?;
        }
        let topics = [names.desired(), names.tags(), names.reported()];
        self.retain(&names, topics.into_iter().map(|topic| (topic, Bytes::new())).collect()).await
    }

    /// What the broker has of a device. What the device reports is not looked at: that may be of any size.
    async fn look(&self, names: &Names) -> Result<Seen, HubError> {
        let read = vec![names.desired(), names.tags()];
        let commands = vec![command::get_client(names), command::get_role(names)];
        let Outcome { mut retained, answers } = self.broker.run(Job { read, commands, ..Job::default() }).await?;
        let [client, role] = answers.as_slice() else {
            return Err(HubError::Unavailable("the broker answers fewer commands than it was given".into()));
        };
        let (client, role) = (plan::client(names, client)?, plan::role(names, role)?);
        Ok(Seen { client, role, desired: retained.remove(&names.desired()), tags: retained.remove(&names.tags()) })
    }

    /// Has messages retained, and reads them back: MQTT 3.1.1 acknowledges a message also where it is not allowed and thrown away. The
    /// answer to reading comes only after the broker has been through what follows upon a change, saving it included where it is told to.
    async fn retain(&self, names: &Names, messages: Vec<(String, Bytes)>) -> Result<(), HubError> {
        let read: Vec<String> =
            [names.desired(), names.tags()].into_iter().filter(|topic| messages.iter().any(|(t, _)| t == topic)).collect();
        let wanted: BTreeMap<String, Bytes> =
            messages.iter().filter(|(topic, payload)| read.contains(topic) && !payload.is_empty()).cloned().collect();
        if messages.is_empty() {
            return Ok(());
        }
        // More than once, for an application may have written in between.
        for _ in 0..ATTEMPTS_MAX {
            let job = Job { retain: messages.clone(), read: read.clone(), commands: vec![command::get_client(names)] };
            if self.broker.run(job).await?.retained == wanted {
                return Ok(());
            }
        }
        Err(HubError::Unauthorized(format!(
            "what user {:?} publishes to {} is not there afterwards: it must be allowed to publish to devices/# and to receive from it, and \
             the broker must retain messages of this size",
            self.broker.user(),
            read.join(" and "),
        )))
    }
}

/// Whether all commands were carried out; `false` where another look is needed.
fn all_done(answers: &[Answer]) -> Result<bool, HubError> {
    let mut done = true;
    for answer in answers {
        match answer.judge() {
            Judgement::Done => {}
            Judgement::Overtaken => done = false,
            Judgement::Failed(why) => return Err(why),
        }
    }
    Ok(done)
}

fn unknown_password() -> Result<Secret, HubError> {
    let mut random = [0_u8; 32];
    rand::fill(&mut random).map_err(|_| HubError::Unavailable("there is no randomness to be had".into()))?;
    Ok(Secret::new(STANDARD.encode(random)))
}

fn stranger(names: &Names) -> HubError {
    HubError::Rejected(format!(
        "the broker has a client {:?} that usher did not make. Remove it, or hand it over by setting its textname to {:?}, or give the \
         enrollment another device ID.",
        names.user(),
        command::OURS,
    ))
}

async fn limited<T>(work: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
    timeout(CALL_MAX, work).await.unwrap_or_else(|_| Err(HubError::Unavailable("the broker is too slow".into())))
}

impl Hub for MosquittoHub {
    fn ensure_device<'a>(&'a self, spec: &'a DeviceSpec, twin: TwinWrite<'a>) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(limited(self.ensure(spec, twin)))
    }

    fn read_twin<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<Option<InitialTwin>, HubError>> {
        Box::pin(limited(self.twin(device_id)))
    }

    fn delete_device<'a>(&'a self, device_id: &'a DeviceId) -> BoxFuture<'a, Result<(), HubError>> {
        Box::pin(limited(self.delete(device_id)))
    }
}
