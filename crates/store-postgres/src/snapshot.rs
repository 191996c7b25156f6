//! Snapshots: one transaction of its own that sees the database as it was at its beginning, and holds up nobody.

use tokio_postgres::{Row, Statement};
use usher_store::{BoxFuture, Entry, Key, STEP_MAX, Snapshot, Space, StoreError, TenantId};

use crate::{fault::Fault, session::Session, sql, stored, target::Target, unavailable};

/// How copies call themselves among the database's connections.
const NAME: &str = "usher copy";

/// The transaction, and how far it is told.
pub struct View {
    session: Session,
    record_tenant: Statement,
    counter_tenant: Statement,
    counters: Statement,
    at: At,
}

/// Where the next step begins.
#[derive(Clone)]
enum At {
    /// From a key on of a tenant's records, or of its counters.
    Key {
        counters: bool,
        tenant: i64,
        from: Vec<u8>,
    },
    End,
}

impl View {
    /// Begins the transaction.
    pub async fn open(target: &Target) -> Result<Self, Fault> {
        let session = Session::open(&target.named(NAME)).await?;
        let record_tenant = session.client.prepare(sql::RECORD_TENANT).await?;
        let counter_tenant = session.client.prepare(sql::COUNTER_TENANT).await?;
        let counters = session.client.prepare(sql::COUNTERS).await?;
        session.plain(sql::SNAPSHOT).await?;
        let mut view = Self { session, record_tenant, counter_tenant, counters, at: At::End };
        // The first statement decides which moment it is.
        view.at = view.tenant_after(false, -1).await?;
        Ok(view)
    }

    /// The beginning of the next tenant; behind the last one's records the first one's counters.
    async fn tenant_after(&self, counters: bool, tenant: i64) -> Result<At, Fault> {
        for (counters, tenant) in [(counters, tenant), (true, -1)] {
            let statement = if counters { &self.counter_tenant } else { &self.record_tenant };
            let rows = self.session.query(statement, &[&tenant]).await?;
            let next = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
            if let Some(tenant) = next {
                return Ok(At::Key { counters, tenant, from: Vec::new() });
            }
            if counters {
                break;
            }
        }
        Ok(At::End)
    }

    async fn next(&mut self) -> Result<Vec<Entry>, Fault> {
        let limit = i64::try_from(STEP_MAX).unwrap_or_default();
        while let At::Key { counters, tenant, from } = self.at.clone() {
            let statement = if counters { &self.counters } else { &self.session.statements.scan_to_end };
            let rows = self.session.query(statement, &[&tenant, &from, &limit]).await?;
            let step: Vec<Entry> = rows.iter().map(|row| entry(row, counters, tenant)).collect::<Result<_, _>>()?;
            let last = rows.last().map(|row| row.try_get::<_, &[u8]>(0)).transpose()?;
            self.at = match last {
                // The least key after it is itself with a zero byte.
                Some(last) if rows.len() == STEP_MAX => At::Key { counters, tenant, from: [last, &[0]].concat() },
                _ => self.tenant_after(counters, tenant).await?,
            };
            if !step.is_empty() {
                return Ok(step);
            }
        }
        Ok(Vec::new())
    }
}

fn entry(row: &Row, counter: bool, tenant: i64) -> Result<Entry, Fault> {
    let strange = || Fault::passing("a row that no usher has written");
    let (space, key) = row.try_get::<_, &[u8]>(0)?.split_first().ok_or_else(strange)?;
    let tenant = TenantId(u32::try_from(tenant).map_err(|_| strange())?);
    let key = Key { space: Space(*space), tenant, key: key.to_vec() };
    if counter {
        return Ok(Entry::Counter { key, value: row.try_get(1)? });
    }
    let stored = stored(row, 1)?;
    Ok(Entry::Record { key, etag: stored.etag, body: stored.body })
}

impl Snapshot for View {
    fn step(&mut self) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move {
            let step = self.next().await;
            if step.is_err() {
                self.at = At::End;
            }
            step.map_err(unavailable)
        })
    }
}
