//! What every kind of server does in the same way: open its doors, and close them again; and what a new service needs.

use std::{future::Future, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tracing::info;
use usher_domain::{
    IdScope, Secret,
    clock::{Clock, Entropy},
    ids::hex,
    service::{AccessPolicy, Right},
};
use usher_provisioning::{Engine, Transport};

use crate::{
    StartError, amqp,
    doors::Doors,
    eraser, https,
    listener::{self, Entrance},
    mqtt,
    ports::Bound,
};

/// Open doors.
pub struct Open {
    engine: Engine,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Open {
    /// Opens the HTTPS, MQTT and AMQP sockets, and begins to look for abandoned operations and for what deleted services left; `alone`
    /// says that no other node can be using the store, so that whatever is unfinished in it is this node's to finish.
    pub fn doors(
        doors: &Arc<Doors>,
        clock: &Arc<dyn Clock>,
        entrance: &Entrance,
        [https_port, mqtts_port, amqps_port]: [Bound; 3],
        alone: bool,
    ) -> Self {
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for socket in https_port.listeners {
            let (doors, stop) = (Arc::clone(doors), stopping.clone());
            tasks.spawn(listener::listen(socket, entrance.clone(), stopping.clone(), move |connection| {
                https::serve(Arc::clone(&doors), connection, stop.clone())
            }));
        }
        for socket in mqtts_port.listeners {
            let (doors, stop) = (Arc::clone(doors), stopping.clone());
            tasks.spawn(listener::listen(socket, entrance.clone(), stopping.clone(), move |connection| {
                mqtt::serve(Arc::clone(&doors), connection.stream, connection.peer, Transport::Mqtt, stop.clone())
            }));
        }
        for socket in amqps_port.listeners {
            let (doors, stop) = (Arc::clone(doors), stopping.clone());
            tasks.spawn(listener::listen(socket, entrance.clone(), stopping.clone(), move |connection| {
                amqp::serve(Arc::clone(&doors), connection.stream, connection.peer, Transport::Amqp, stop.clone())
            }));
        }
        tasks.spawn(eraser::erase(Arc::clone(&doors.directory), Arc::clone(clock), stopping.clone()));
        let engine = doors.engine.clone();
        let taking_over = engine.clone();
        tasks.spawn(async move { taking_over.take_over_abandoned(alone, stopping).await });
        Self { engine, stop, tasks }
    }

    /// Does something else until they close.
    pub fn run<F: Future<Output = ()> + Send + 'static>(&mut self, work: impl FnOnce(watch::Receiver<bool>) -> F) {
        self.tasks.spawn(work(self.stop.subscribe()));
    }

    /// Closes them: no new connections, open requests are answered, operations under way get their time, all in `longest`.
    pub async fn close(mut self, longest: Duration) {
        let _ = self.stop.send(true);
        let all = async {
            while self.tasks.join_next().await.is_some() {}
            self.engine.drain(longest).await;
        };
        if timeout(longest, all).await.is_err() {
            info!("some connections did not end in time");
        }
    }
}

/// The policy that a new service has, with fresh keys.
pub fn owner(entropy: &dyn Entropy) -> AccessPolicy {
    let key = || {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Secret::new(STANDARD.encode(bytes))
    };
    AccessPolicy { name: "provisioningserviceowner".into(), primary: key(), secondary: key(), rights: Right::ALL.to_vec() }
}

/// A fresh ID scope, in the cloud's form.
pub fn new_id_scope(entropy: &dyn Entropy) -> Result<IdScope, StartError> {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    let generated = format!("0ne{}", hex(&bytes).to_ascii_uppercase());
    IdScope::parse(&generated).map_err(|error| StartError::internal("the ID scope", &error))
}
