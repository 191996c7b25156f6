//! Connections for reading: a fixed number, shared by all who read, opened when they are first used and again once they are lost.
//!
//! Reads of many callers go over one connection without waiting for each other's answers, so that a few connections serve all of
//! them, and nobody has to hand one back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Mutex;
use tokio_postgres::{Row, Statement};

use crate::{
    fault::{Fault, Kind},
    patience::Patience,
    session::{Session, Value, within},
    sql,
    target::Target,
};

/// Longest time that a read may take, a restart of the database in between included.
const READ_MAX: Duration = Duration::from_secs(15);

/// The connections.
pub struct Readers {
    target: Target,
    slots: Vec<Mutex<Option<Arc<Session>>>>,
    next: AtomicUsize,
}

impl Readers {
    /// So many connections, none of them open yet.
    pub fn new(target: Target, connections: usize) -> Self {
        Self { target, slots: (0..connections.max(1)).map(|_| Mutex::default()).collect(), next: AtomicUsize::new(0) }
    }

    /// Asks, again if need be: a read can be repeated.
    pub async fn rows(&self, statement: fn(&Session) -> &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        within(READ_MAX, async {
            let mut patience = Patience::new(READ_MAX);
            loop {
                match self.ask(statement, values).await {
                    Err(fault) if fault.kind != Kind::Lasting && patience.pause().await => {}
                    outcome => return outcome,
                }
            }
        })
        .await
    }

    async fn ask(&self, statement: fn(&Session) -> &Statement, values: &[Value<'_>]) -> Result<Vec<Row>, Fault> {
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let Some(slot) = self.slots.get(at) else { return Err(Fault::passing("there is no connection")) };
        let session = self.session(slot).await?;
        let outcome = session.query(statement(&session), values).await;
        if matches!(&outcome, Err(fault) if fault.kind == Kind::Passing) {
            // Not used again by anyone; what others still wait for on it may yet come.
            let mut held = slot.lock().await;
            held.take_if(|held| Arc::ptr_eq(held, &session));
        }
        outcome
    }

    async fn session(&self, slot: &Mutex<Option<Arc<Session>>>) -> Result<Arc<Session>, Fault> {
        let mut held = slot.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.target).await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Deletes markers that dead processes left.
    pub async fn sweep(&self) -> Result<(), Fault> {
        let Some(slot) = self.slots.first() else { return Ok(()) };
        self.session(slot).await?.plain(sql::SWEEP).await
    }
}
