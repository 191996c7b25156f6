//! Every statement, in one place: what is written here is all that a database must understand.
//!
//! Each names one tenant, so that a database that is spread by tenant sends it to one machine. Arrays take the place of many rows, so
//! that a group of commits costs as many statements as a single one. There are no sequences, functions, triggers, advisory locks or
//! notifications; docs/postgres.md says which databases have what is used.

/// Settings of every connection. A client that vanishes must not hold locks for longer than others wait for them; an answer that is
/// lost is settled by a marker that outlives all of this by far (see `marker`). Milliseconds, which every database takes.
pub const SETTINGS: &str = "SET statement_timeout = 5000; SET idle_in_transaction_session_timeout = 10000";
/// Plans made while a table is small would else go on scanning it once it is large. Databases without this setting refuse it, which
/// does no harm.
pub const NO_SCANS: &str = "SET enable_seqscan = off";
/// What is acknowledged is durable, here and at the standbys that the server waits for, also where its default says otherwise.
pub const DURABLE: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";
/// Settings that acknowledgements rest upon, where the database has them.
pub const PROMISES: &str = "SELECT current_setting('fsync', true), current_setting('full_page_writes', true), \
    current_setting('synchronous_standby_names', true)";
/// Our own connections that have waited for a synchronous standby for longer than it takes.
pub const STUCK: &str = "SELECT 1 FROM pg_stat_activity \
    WHERE usename = current_user AND wait_event = 'SyncRep' AND state_change < now() - INTERVAL '3 seconds' LIMIT 1";

/// A commit that leaves nothing behind, in one transaction. It must write: PostgreSQL does not wait for standbys otherwise. `hex` is a
/// random ID, so that nobody waits for another's.
pub fn barrier(hex: &str) -> String {
    format!(
        "INSERT INTO usher_commits (tenant, id, fence) VALUES (0, '\\x{hex}', true); \
        DELETE FROM usher_commits WHERE tenant = 0 AND id = '\\x{hex}'"
    )
}

/// Begins a commit. Rows that are judged are locked first, so this level is enough; a stronger one only makes more commits try again.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// The keys are of one space each, the space being their first byte.
pub const GET: &str = "SELECT etag, body FROM usher_records WHERE tenant = $1 AND key = $2";
/// From a key on, up to but without another.
pub const SCAN: &str = "SELECT key, etag, body FROM usher_records WHERE tenant = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4";
/// From a key on, for the one prefix that has no successor.
pub const SCAN_TO_END: &str = "SELECT key, etag, body FROM usher_records WHERE tenant = $1 AND key >= $2 ORDER BY key LIMIT $3";
/// A counter is the sum of its parts.
pub const COUNTER: &str = "SELECT CAST(coalesce(sum(n), 0) AS INT8) FROM usher_counters WHERE tenant = $1 AND key = $2";

/// Locks rows in the order of their keys, so that no two commits wait for each other.
pub const LOCK: &str = "SELECT key, etag FROM usher_records WHERE tenant = $1 AND key = ANY($2) ORDER BY key FOR UPDATE";
/// Rows that were absent: where one has come into being meanwhile, this fails, and the commit with it.
pub const INSERT: &str = "INSERT INTO usher_records (tenant, key, etag, body) \
    SELECT $1, k, e, b FROM unnest($2::BYTEA[], $3::INT8[], $4::BYTEA[]) AS t(k, e, b)";
/// Rows that are locked. An upsert, since its plan is always by key.
pub const UPDATE: &str = "INSERT INTO usher_records (tenant, key, etag, body) \
    SELECT $1, k, e, b FROM unnest($2::BYTEA[], $3::INT8[], $4::BYTEA[]) AS t(k, e, b) \
    ON CONFLICT (tenant, key) DO UPDATE SET etag = excluded.etag, body = excluded.body";
/// Rows that are locked, or were just made to hold a place.
pub const DELETE: &str = "DELETE FROM usher_records WHERE tenant = $1 AND key = ANY($2)";
/// Adds to one part of each counter.
pub const ADD: &str = "INSERT INTO usher_counters (tenant, key, slot, n) \
    SELECT $1, k, $2, d FROM unnest($3::BYTEA[], $4::INT8[]) AS t(k, d) \
    ON CONFLICT (tenant, key, slot) DO UPDATE SET n = usher_counters.n + excluded.n";

/// Marks a commit as having taken place.
pub const MARK: &str = "INSERT INTO usher_commits (tenant, id, fence) VALUES ($1, $2, false)";
/// Sees to it that a commit whose answer was lost never takes place, unless it has; tells which. It writes in both cases, so that the
/// answer comes when standbys have confirmed what it is about.
pub const FENCE: &str = "INSERT INTO usher_commits (tenant, id, fence) VALUES ($1, $2, true) \
    ON CONFLICT (tenant, id) DO UPDATE SET fence = usher_commits.fence RETURNING fence";
/// A mark whose commit was answered.
pub const UNMARK: &str = "DELETE FROM usher_commits WHERE tenant = $1 AND id = $2";
/// Marks that processes left behind which ended without notice. Whatever they belonged to has ended long ago: see [`SETTINGS`].
pub const SWEEP: &str = "DELETE FROM usher_commits WHERE made < now() - INTERVAL '1 day'";

/// Begins a snapshot. Whoever reads it may be slow to take what it has read; the settings of a session would end that too early.
pub const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 600000";
/// The next tenant that has records. Of the statements only this, [`COUNTER_TENANT`] and [`NODES`] name no tenant; copies alone use them.
pub const RECORD_TENANT: &str = "SELECT min(tenant) FROM usher_records WHERE tenant > $1";
/// The next tenant that has counters.
pub const COUNTER_TENANT: &str = "SELECT min(tenant) FROM usher_counters WHERE tenant > $1";
/// Counters from a key on, without those that are 0.
pub const COUNTERS: &str = "SELECT key, CAST(sum(n) AS INT8) FROM usher_counters WHERE tenant = $1 AND key >= $2 \
    GROUP BY key HAVING sum(n) <> 0 ORDER BY key LIMIT $3";
/// Connections of nodes, as far as the user may see them: its own always.
pub const NODES: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name = 'usher' AND pid <> pg_backend_pid()";
