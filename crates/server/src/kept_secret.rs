//! Secrets that an installation makes for itself on its first start and keeps as sealed records, so that every node and every later start
//! has the same.

use usher_domain::{Secret, clock::Entropy, ids::hex};
use usher_records::Vault;
use usher_store::{Expect, Space};

use crate::{StartError, dev::unreadable};

/// The secret under `name` in `space`, 32 random bytes in hex; `system` has the records of tenant 0.
pub async fn kept_secret(system: &Vault, space: Space, name: &str, entropy: &dyn Entropy) -> Result<Secret, StartError> {
    let key = || system.key(space, name);
    if let Some(found) = system.get::<Secret>(&key()).await.map_err(|error| unreadable(&error))? {
        return Ok(found.value);
    }
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let made = Secret::new(hex(&random));
    let (op, _) = system.put(key(), Expect::Absent, &made).map_err(|error| unreadable(&error))?;
    let committed = system.commit(vec![op]).await;
    // Of two nodes that start at once, one finds the other's.
    match (system.get::<Secret>(&key()).await.map_err(|error| unreadable(&error))?, committed) {
        (Some(stored), _) => Ok(stored.value),
        (None, Err(error)) => Err(unreadable(&error)),
        (None, Ok(())) => Err(StartError::internal("a kept secret", &"it is gone")),
    }
}
