//! A lane: one connection that writes. It takes a group of commits, locks the rows they look at, judges them, and writes what they
//! change, in two round trips, however many commits they are.
//!
//! Why this is right at READ COMMITTED: what is there when it is judged is locked, so it stays as it is; what is absent is inserted
//! without a way out for a conflict (and deleted again where it is to stay absent), so the transaction fails if it came into being.
//! Rows are locked in the order of their keys, then inserted in that order, then counters are added to in that order; so transactions
//! never wait for each other in a circle.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::{debug, warn};
use usher_store::{BoxFuture, StoreError, TenantId};

use crate::{
    fault::{Fault, Kind},
    judge::{Changes, Held, Verdict, judge, places},
    marker::{Fate, Marker, Marks},
    patience::Patience,
    queue::{Queue, Request},
    rows::{Rows, Step},
    session::{CALL_MAX, Session, in_order, within},
    sql,
    target::Target,
};

/// Longest time that a group may take, a restart of the database in between included.
const COMMIT_MAX: Duration = Duration::from_secs(20);

/// One lane's state.
pub struct Lane {
    target: Target,
    queue: Arc<Queue>,
    /// The part of each counter that this lane adds to.
    slot: i32,
    session: Option<Session>,
    marks: Marks,
}

/// How an attempt at a group ended, if not well.
enum Failure {
    /// It did not take place.
    Undone(Fault),
    /// Nobody knows yet.
    Unknown(Fault, Marker),
}

impl Lane {
    /// A lane that is not connected yet.
    pub fn new(target: Target, queue: Arc<Queue>, slot: i32) -> Self {
        Self { target, queue, slot, session: None, marks: Marks::default() }
    }

    /// Works until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some(group) = self.queue.group().await {
            let outcomes = self.commit(&group).await;
            for (request, outcome) in group.into_iter().zip(outcomes) {
                // Whoever asked may have gone; that is no concern of the others.
                drop(request.answer.send(outcome));
            }
        }
    }

    /// Tries until it is done, or there is no point in it, or no time.
    async fn commit(&mut self, group: &[Request]) -> Vec<Result<(), StoreError>> {
        let mut patience = Patience::new(COMMIT_MAX);
        let mut unknown: Option<(Marker, Vec<Result<(), StoreError>>)> = None;
        loop {
            let fault = match unknown.take() {
                None => match self.attempt(group).await {
                    Ok(outcomes) => return outcomes,
                    Err((Failure::Undone(fault), _)) => fault,
                    Err((Failure::Unknown(fault, marker), outcomes)) => {
                        debug!(why = %fault, "a commit's answer was lost");
                        unknown = Some((marker, outcomes));
                        fault
                    }
                },
                Some((marker, outcomes)) => match self.settle(&marker).await {
                    Ok(Fate::Happened) => return outcomes,
                    Ok(Fate::NeverHappens) => continue,
                    Err(fault) => {
                        unknown = Some((marker, outcomes));
                        fault
                    }
                },
            };
            // What is unknown is settled even where the fault is lasting.
            if (fault.kind == Kind::Lasting && unknown.is_none()) || !patience.pause().await {
                return given_up(group.len(), &fault, unknown.is_some());
            }
        }
    }

    async fn attempt(&mut self, group: &[Request]) -> Result<Vec<Result<(), StoreError>>, (Failure, Vec<Result<(), StoreError>>)> {
        let undone = |fault| (Failure::Undone(fault), Vec::new());
        let session = match self.session.take().filter(|session| !session.is_over()) {
            Some(session) => session,
            None => Session::open(&self.target).await.map_err(undone)?,
        };
        let held = match begin(&session, group).await {
            Ok(held) => held,
            Err(fault) => {
                self.undo(session, &fault).await;
                return Err(undone(fault));
            }
        };
        let Verdict { outcomes, changes } = judge(group.iter().map(|request| request.ops.as_slice()), &held);
        let Some(tenant) = changes.keys().next().copied() else {
            session.plain("COMMIT").await.map_err(undone)?;
            self.session = Some(session);
            return Ok(outcomes);
        };
        let marker = Marker::new(tenant).map_err(undone)?;
        match write(&session, self.slot, &marker, self.marks.answered(marker.tenant), &changes).await {
            // Confirmed by the database, but for a warning that it may be lost yet.
            Ok(()) if let Err(fault) = session.is_confirmed() => Err((Failure::Unknown(fault, marker), outcomes)),
            Ok(()) => {
                self.marks.swap(marker);
                self.session = Some(session);
                Ok(outcomes)
            }
            // The server itself has refused a statement: the transaction it stands in is undone.
            Err(fault) if fault.kind != Kind::Passing => {
                self.undo(session, &fault).await;
                Err(undone(fault))
            }
            Err(fault) => Err((Failure::Unknown(fault, marker), outcomes)),
        }
    }

    /// Ends a transaction that failed. A connection in trouble is dropped instead, and the server undoes what was begun on it.
    async fn undo(&mut self, session: Session, fault: &Fault) {
        if fault.kind != Kind::Passing && session.plain("ROLLBACK").await.is_ok() {
            self.session = Some(session);
        }
    }

    async fn settle(&mut self, marker: &Marker) -> Result<Fate, Fault> {
        let session = match self.session.take().filter(|session| !session.is_over()) {
            Some(session) => session,
            None => Session::open(&self.target).await?,
        };
        let fate = marker.settle(&session).await?;
        self.session = Some(session);
        Ok(fate)
    }
}

fn given_up(commits: usize, fault: &Fault, unknown: bool) -> Vec<Result<(), StoreError>> {
    let what = if unknown { "it is not known whether the commit took place" } else { "nothing was written" };
    warn!(commits, why = %fault, "the database does not take commits; {what}");
    vec![Err(StoreError::Unavailable(format!("{fault}; {what}"))); commits]
}

/// Begins a transaction and locks what the group looks at.
async fn begin(session: &Session, group: &[Request]) -> Result<Held, Fault> {
    let ops = group.iter().flat_map(|request| &request.ops);
    let places: Vec<(TenantId, i64, Vec<Vec<u8>>)> =
        places(ops).into_iter().map(|(tenant, keys)| (tenant, i64::from(tenant.0), keys)).collect();
    let begin = async { session.client.batch_execute(sql::BEGIN).await.map(|()| Vec::new()) };
    let mut steps: Vec<BoxFuture<'_, _>> = vec![Box::pin(begin)];
    for (_, tenant, keys) in &places {
        steps.push(Box::pin(async move { session.client.query(&session.statements.lock, &[tenant, keys]).await }));
    }
    let found = within(CALL_MAX, async { in_order(steps).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(Fault::from) }).await?;
    let mut held = Held::new();
    for ((tenant, ..), rows) in places.iter().zip(found.into_iter().skip(1)) {
        for row in rows {
            held.insert((*tenant, row.try_get(0)?), row.try_get::<_, i64>(1)?.cast_unsigned());
        }
    }
    Ok(held)
}

/// Writes and commits, everything sent at once: where one statement fails, the server refuses the rest and undoes what went before.
async fn write(
    session: &Session,
    slot: i32,
    marker: &Marker,
    answered: Option<&Vec<u8>>,
    changes: &BTreeMap<TenantId, Changes<'_>>,
) -> Result<(), Fault> {
    let rows: Vec<Rows<'_>> = changes.iter().map(|(tenant, changes)| Rows::new(*tenant, changes)).collect();
    let (client, statements) = (&session.client, &session.statements);
    let mut steps: Vec<Step<'_>> = vec![Box::pin(async { client.execute(&statements.mark, &[&marker.tenant, &marker.id]).await })];
    if let Some(answered) = answered {
        steps.push(Box::pin(async move { client.execute(&statements.unmark, &[&marker.tenant, answered]).await }));
    }
    steps.extend(rows.iter().flat_map(|rows| rows.records(session)));
    // Counters last, for all tenants, so that the order of waiting is the same everywhere.
    steps.extend(rows.iter().filter_map(|rows| rows.counters(session, &slot)));
    steps.push(Box::pin(async { client.batch_execute("COMMIT").await.map(|()| 0) }));
    within(CALL_MAX, async { in_order(steps).await.into_iter().collect::<Result<Vec<_>, _>>().map_err(Fault::from) }).await?;
    Ok(())
}
