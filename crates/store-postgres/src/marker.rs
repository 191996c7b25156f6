//! Whether a commit took place whose answer was lost.
//!
//! Re-reading the rows does not tell: others may have written since, and counters and deletions carry no name. So each transaction
//! inserts a row of its own, its marker, under a random ID. To settle a lost answer, the same row is inserted from outside, as a
//! fence. The database lets one of both be: a marker that is there means that the commit took place; a fence that is there means that it
//! never will, even if the server has its statements still before it. An insertion waits for a transaction that has not ended, so the
//! answer is never early. A marker that is there is written anew, so that the answer waits for synchronous standbys: the commit may be
//! on one server only, which has just been promoted or restarted, or told to wait no longer.
//!
//! A lane deletes its marker with the next commit, so the table stays as small as there are lanes and tenants. Fences and what dead
//! processes leave are swept after a day, when whatever they were against has long been ended by the server's time-outs.

use std::collections::HashMap;

use aws_lc_rs::rand;
use usher_store::TenantId;

use crate::{
    fault::{Fault, Kind},
    session::Session,
};

/// A transaction's name.
pub struct Marker {
    /// The tenant it stands under.
    pub tenant: i64,
    /// Random, 16 bytes.
    pub id: Vec<u8>,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is durable.
    Happened,
    /// It is undone for good.
    NeverHappens,
}

impl Marker {
    /// A fresh one.
    pub fn new(tenant: TenantId) -> Result<Self, Fault> {
        let mut id = vec![0; 16];
        rand::fill(&mut id).map_err(|_| Fault { kind: Kind::Lasting, text: "there is no randomness".into() })?;
        Ok(Self { tenant: i64::from(tenant.0), id })
    }

    /// Settles what became of it.
    pub async fn settle(&self, session: &Session) -> Result<Fate, Fault> {
        // Its own marker, or a fence of ours, whose answer may have been lost in turn.
        let rows = session.query(&session.statements.fence, &[&self.tenant, &self.id]).await?;
        session.is_confirmed()?;
        let row = rows.first().ok_or_else(|| Fault::passing("a fence does not tell what it is against"))?;
        Ok(if row.try_get(0)? { Fate::NeverHappens } else { Fate::Happened })
    }
}

/// A lane's markers whose commits are answered, by tenant: nobody will ask for them.
#[derive(Default)]
pub struct Marks(HashMap<i64, Vec<u8>>);

impl Marks {
    /// The last one under this tenant, to be deleted with the next commit.
    pub fn answered(&self, tenant: i64) -> Option<&Vec<u8>> {
        self.0.get(&tenant)
    }

    /// Takes the place of the one that was deleted with it.
    pub fn swap(&mut self, marker: Marker) {
        self.0.insert(marker.tenant, marker.id);
    }
}
