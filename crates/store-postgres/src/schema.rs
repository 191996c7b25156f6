//! The tables, and how they come to be: steps that may be run any number of times, by several nodes at once, and a row that says how
//! far they have come.
//!
//! There is no lock around it. Each step changes nothing where it was done before; who loses a race sees that the thing is there and
//! goes on. The version is raised by a conditional statement, so it only ever grows. Steps only add: nodes of the version before go on
//! working beside those of the next.

use tokio_postgres::Client;

use crate::{
    OpenError,
    fault::{Fault, Kind, is_made_twice},
    sql,
};

/// The row that says which version the tables are in.
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS usher_schema (one INT4 PRIMARY KEY, version INT4 NOT NULL)";
const FIRST: &str = "INSERT INTO usher_schema (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING";
const READ: &str = "SELECT version FROM usher_schema WHERE one = 1";

/// Each version's statements. Never change one that was released; add the next.
const STEPS: &[&[&str]] = &[&[
    // Keys are blinded, bodies sealed: nothing here can be read or sorted by meaning.
    "CREATE TABLE IF NOT EXISTS usher_records \
     (tenant INT8 NOT NULL, key BYTEA NOT NULL, etag INT8 NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (tenant, key))",
    // In parts, so that many who count do not wait for one row.
    "CREATE TABLE IF NOT EXISTS usher_counters \
     (tenant INT8 NOT NULL, key BYTEA NOT NULL, slot INT4 NOT NULL, n INT8 NOT NULL, PRIMARY KEY (tenant, key, slot))",
    "CREATE TABLE IF NOT EXISTS usher_commits \
     (tenant INT8 NOT NULL, id BYTEA NOT NULL, fence BOOL NOT NULL, made TIMESTAMPTZ NOT NULL DEFAULT now(), PRIMARY KEY (tenant, id))",
]];

/// Tries at a step that another node is taking at the same moment.
const TRIES_MAX: usize = 10;

/// Brings the tables to this program's version.
pub async fn migrate(client: &Client) -> Result<(), OpenError> {
    let known = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    let found = match version(client).await {
        // Looked at first: a user without the right to make tables can run what is complete.
        Ok(Some(found)) => found,
        _ => {
            step(client, VERSIONS).await?;
            step(client, FIRST).await?;
            version(client).await.map_err(open_error)?.unwrap_or_default()
        }
    };
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (before, statements) in (0_i32..).zip(STEPS).filter(|(before, _)| *before >= found) {
        for statement in *statements {
            step(client, statement).await?;
        }
        step(client, &format!("UPDATE usher_schema SET version = {} WHERE one = 1 AND version = {before}", before + 1)).await?;
    }
    client.batch_execute(sql::SWEEP).await.map_err(open_error)
}

async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    client.query_opt(READ, &[]).await?.map(|row| row.try_get(0)).transpose()
}

async fn step(client: &Client, statement: &str) -> Result<(), OpenError> {
    let mut tries = 0;
    loop {
        match client.batch_execute(statement).await {
            Ok(()) => return Ok(()),
            Err(error) if is_made_twice(&error) && tries < TRIES_MAX => {
                tries += 1;
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            Err(error) => return Err(open_error(error)),
        }
    }
}

fn open_error(error: tokio_postgres::Error) -> OpenError {
    refused(Fault::from(error))
}

/// A fault while opening, by whether the database was reached.
pub fn refused(fault: Fault) -> OpenError {
    if fault.kind == Kind::Passing { OpenError::Unreachable(fault.text) } else { OpenError::Refused(fault.text) }
}
