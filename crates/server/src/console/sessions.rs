//! Sessions as records of tenant 0, under blinded names: whoever reads the store finds no ID that opens anything.

use serde::{Deserialize, Serialize};
use tracing::debug;
use usher_audit::Actor;
use usher_console::session::{Session, Standing, to_end};
use usher_domain::Timestamp;
use usher_records::{RecordError, Vault};
use usher_store::{Expect, Key, Op, Space};

/// Where sessions lie, under tenant 0.
const SESSIONS: Space = Space(103);
/// Sessions read when another begins: more than there are, even where many begin at once.
const READ_MAX: usize = 1000;

/// A session and whose it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// What is decided by.
    pub session: Session,
    /// Who signed in, as the audit log names them.
    pub actor: Actor,
}

/// The sessions of the installation.
pub struct Sessions {
    system: Vault,
}

impl Sessions {
    /// Those among these records.
    pub fn new(system: Vault) -> Self {
        Self { system }
    }

    /// The session of this ID, if it counts now.
    pub async fn look_up(&self, id: &str, now: Timestamp) -> Result<Option<Held>, RecordError> {
        let Some(found) = self.system.get::<Held>(&self.key(id)).await? else { return Ok(None) };
        match found.value.session.standing(now) {
            Standing::Over => Ok(None),
            Standing::Good => Ok(Some(found.value)),
            Standing::Note => {
                let noted = Held { session: Session { seen: now, ..found.value.session }, actor: found.value.actor };
                // Of two requests at once, one notes it; one that signs out at the same time must win.
                let put = self.system.put(self.key(id), Expect::Etag(found.etag), &noted)?.0;
                match self.system.commit(vec![put]).await {
                    Ok(()) => Ok(Some(noted)),
                    Err(RecordError::Conflict { .. }) => Ok(self.system.get::<Held>(&self.key(id)).await?.map(|found| found.value)),
                    Err(fault) => Err(fault),
                }
            }
        }
    }

    /// Begins a session, and ends those that must make room.
    pub async fn begin(&self, id: &str, session: &Held, now: Timestamp) -> Result<(), RecordError> {
        let page = self.system.page::<Held>(SESSIONS, &[], None, READ_MAX).await?;
        let held: Vec<(Vec<u8>, Session)> = page.items.into_iter().map(|(key, found)| (key, found.value.session)).collect();
        let mut ops = vec![self.system.put(self.key(id), Expect::Absent, session)?.0];
        let ended = to_end(&held, now);
        debug!(held = held.len(), ended = ended.len(), "a session of the console begins");
        let any = self.key(id);
        ops.extend(ended.into_iter().map(|key| Op::Delete { key: Key { key, ..any.clone() }, expect: Expect::Any }));
        // In parts: what a commit takes is bounded.
        for part in ops.chunks(usher_store::OPS_MAX) {
            self.system.commit(part.to_vec()).await?;
        }
        Ok(())
    }

    /// Ends a session, on all nodes at once.
    pub async fn end(&self, id: &str) -> Result<(), RecordError> {
        self.system.commit(vec![Op::Delete { key: self.key(id), expect: Expect::Any }]).await
    }

    fn key(&self, id: &str) -> Key {
        self.system.key(SESSIONS, id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use usher_console::session::{IDLE_S, SESSIONS_MAX};
    use usher_domain::clock::SeededEntropy;
    use usher_seal::MasterKey;
    use usher_store::{TenantId, memory::MemoryStore};

    const NOW: Timestamp = Timestamp::from_secs(1_780_272_000);

    async fn two_nodes() -> (Sessions, Sessions) {
        let (store, master) = (Arc::new(MemoryStore::default()), MasterKey::generate().unwrap());
        let one = Vault::open_tenant(store.clone(), &master, TenantId(0)).await.unwrap();
        let two = Vault::open_tenant(store, &master, TenantId(0)).await.unwrap();
        (Sessions::new(one), Sessions::new(two))
    }

    fn at(seconds: i64) -> Timestamp {
        NOW.plus_millis(seconds * 1_000)
    }

    fn held(now: Timestamp) -> Held {
        Held { session: Session::begin("token", now, &SeededEntropy::new(1)), actor: Actor::Administrator }
    }

    #[tokio::test]
    async fn a_session_counts_on_every_node_until_it_ends() {
        let (one, two) = two_nodes().await;
        one.begin("a", &held(NOW), NOW).await.unwrap();
        assert!(two.look_up("a", at(IDLE_S - 1)).await.unwrap().is_some(), "and its use is noted");
        assert!(one.look_up("a", at(2 * IDLE_S - 2)).await.unwrap().is_some());
        assert!(one.look_up("b", NOW).await.unwrap().is_none());
        two.end("a").await.unwrap();
        two.end("a").await.unwrap();
        assert!(one.look_up("a", at(2 * IDLE_S - 2)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn there_are_never_more_than_the_limit() {
        let (one, _) = two_nodes().await;
        for n in 0..i64::try_from(SESSIONS_MAX).unwrap() + 5 {
            one.begin(&format!("s{n}"), &held(at(n)), at(n)).await.unwrap();
        }
        let held = one.system.page::<Held>(SESSIONS, &[], None, READ_MAX).await.unwrap().items.len();
        assert_eq!(held, SESSIONS_MAX);
        assert!(one.look_up("s4", at(105)).await.unwrap().is_none() && one.look_up("s5", at(105)).await.unwrap().is_some());
    }
}
