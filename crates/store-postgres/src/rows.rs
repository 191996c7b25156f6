//! Changes as the arrays that statements take.

use tokio_postgres::Error;
use usher_store::{BoxFuture, TenantId};

use crate::{judge::Changes, session::Session};

/// Rows with their ETags and bodies, one array each.
#[derive(Default)]
struct Columns<'a> {
    keys: Vec<&'a [u8]>,
    etags: Vec<i64>,
    bodies: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(rows: impl Iterator<Item = (&'a Vec<u8>, (u64, &'a [u8]))>) -> Self {
        let mut columns = Self::default();
        for (key, (etag, body)) in rows {
            columns.keys.push(key);
            columns.etags.push(etag.cast_signed());
            columns.bodies.push(body);
        }
        columns
    }
}

/// One tenant's changes, each array in the order of its keys.
pub struct Rows<'a> {
    tenant: i64,
    inserts: Columns<'a>,
    updates: Columns<'a>,
    deletes: Vec<&'a [u8]>,
    counters: Vec<&'a [u8]>,
    deltas: Vec<i64>,
}

/// A statement under way, with how many rows it touched.
pub type Step<'a> = BoxFuture<'a, Result<u64, Error>>;

impl<'a> Rows<'a> {
    /// Arranges changes.
    pub fn new(tenant: TenantId, changes: &'a Changes<'a>) -> Self {
        let mut inserts: Vec<_> = changes.inserts.iter().map(|(key, row)| (key, *row)).collect();
        // A row that holds the place of an absent one, until it is deleted within the same transaction.
        inserts.extend(changes.absences.iter().map(|key| (key, (0, [].as_slice()))));
        inserts.sort_unstable_by_key(|(key, _)| *key);
        Self {
            tenant: i64::from(tenant.0),
            inserts: Columns::of(inserts.into_iter()),
            updates: Columns::of(changes.updates.iter().map(|(key, row)| (key, *row))),
            deletes: changes.deletes.iter().chain(&changes.absences).map(Vec::as_slice).collect(),
            counters: changes.adds.keys().map(Vec::as_slice).collect(),
            deltas: changes.adds.values().copied().collect(),
        }
    }

    /// The statements that change records.
    pub fn records<'s>(&'s self, session: &'s Session) -> Vec<Step<'s>> {
        let (client, statements) = (&session.client, &session.statements);
        let mut steps: Vec<Step<'s>> = Vec::new();
        for (statement, rows) in [(&statements.insert, &self.inserts), (&statements.update, &self.updates)] {
            if !rows.keys.is_empty() {
                steps
                    .push(Box::pin(async move { client.execute(statement, &[&self.tenant, &rows.keys, &rows.etags, &rows.bodies]).await }));
            }
        }
        if !self.deletes.is_empty() {
            steps.push(Box::pin(async move { client.execute(&statements.delete, &[&self.tenant, &self.deletes]).await }));
        }
        steps
    }

    /// The statement that adds to counters, if any are added to.
    pub fn counters<'s>(&'s self, session: &'s Session, slot: &'s i32) -> Option<Step<'s>> {
        let (client, statements) = (&session.client, &session.statements);
        (!self.counters.is_empty()).then(|| {
            Box::pin(async move { client.execute(&statements.add, &[&self.tenant, slot, &self.counters, &self.deltas]).await }) as _
        })
    }
}
