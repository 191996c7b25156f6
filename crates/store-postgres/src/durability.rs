//! Looks whether the database can keep what it acknowledges, and says in the log where it cannot.

use tokio_postgres::Client;
use tracing::warn;

use crate::{fault::Fault, sql};

/// What acknowledgements rest upon; `None` where the database does not tell.
#[derive(Clone, Default, Debug)]
struct Promises {
    fsync: Option<String>,
    full_page_writes: Option<String>,
    standbys: Option<String>,
}

/// A setting with which acknowledged data can get lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Danger {
    check: &'static str,
    what: &'static str,
    mend: &'static str,
}

const FSYNC: Danger = Danger {
    check: "store.fsync",
    what: "fsync is off: a crash of the database's machine loses or damages what was acknowledged",
    mend: "Set fsync = on.",
};
const FULL_PAGE_WRITES: Danger = Danger {
    check: "store.fullPageWrites",
    what: "full_page_writes is off: a crash of the database's machine can damage what was acknowledged",
    mend: "Set full_page_writes = on, unless the file system never tears a page.",
};
const STANDBYS: Danger = Danger {
    check: "store.standbys",
    what: "several hosts, and no synchronous standby: a failover loses what had not been replicated",
    mend: "Set synchronous_standby_names, as docs/postgres.md says.",
};

/// Asks and warns. A database that cannot be asked is not judged.
pub async fn check(client: &Client, hosts: usize) {
    let Ok(promises) = ask(client).await else { return };
    for Danger { check, what, mend } in dangers(&promises, hosts) {
        warn!(check, mend, "{what}");
    }
}

async fn ask(client: &Client) -> Result<Promises, Fault> {
    let row = client.query_one(sql::PROMISES, &[]).await?;
    Ok(Promises { fsync: row.try_get(0)?, full_page_writes: row.try_get(1)?, standbys: row.try_get(2)? })
}

fn dangers(promises: &Promises, hosts: usize) -> Vec<Danger> {
    let is = |setting: &Option<String>, value: &str| setting.as_deref().map(str::trim) == Some(value);
    let all = [
        (FSYNC, is(&promises.fsync, "off")),
        (FULL_PAGE_WRITES, is(&promises.full_page_writes, "off")),
        (STANDBYS, hosts > 1 && is(&promises.standbys, "")),
    ];
    all.into_iter().filter_map(|(danger, is_there)| is_there.then_some(danger)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_endangers_acknowledged_data_is_named_and_nothing_else() {
        let say = |text: &str| Some(text.to_owned());
        let good = Promises { fsync: say("on"), full_page_writes: say("on"), standbys: say("ANY 1 (b, c)") };
        assert_eq!(dangers(&good, 3), []);
        assert_eq!(dangers(&Promises::default(), 3), [], "a database that does not tell");
        let alone = Promises { standbys: say(""), ..good.clone() };
        assert_eq!(dangers(&alone, 1), []);
        assert_eq!(dangers(&alone, 2), [STANDBYS]);
        assert_eq!(dangers(&Promises { fsync: say("off"), full_page_writes: say("off"), ..good }, 3), [FSYNC, FULL_PAGE_WRITES]);
    }
}
