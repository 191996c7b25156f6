//! The key that tokens of log-ins are signed with: a record, so that every node verifies what another one gave.

use usher_api_management::Login;
use usher_domain::{Secret, clock::Entropy, ids::hex};
use usher_records::Vault;
use usher_store::{Expect, Space};

use crate::{StartError, dev::unreadable};

/// Where the key lies, under tenant 0.
const LOGIN: Space = Space(102);

/// The log-in of the installation whose records of tenant 0 are in `system`; its key is made on the first start.
pub async fn login(system: &Vault, entropy: &dyn Entropy) -> Result<Login, StartError> {
    let key = || system.key(LOGIN, "key");
    if let Some(found) = system.get::<Secret>(&key()).await.map_err(|error| unreadable(&error))? {
        return Ok(Login::new(found.value));
    }
    let mut random = [0; 32];
    entropy.fill(&mut random);
    let made = Secret::new(hex(&random));
    let (op, _) = system.put(key(), Expect::Absent, &made).map_err(|error| unreadable(&error))?;
    let committed = system.commit(vec![op]).await;
    // Of two nodes that start at once, one finds the other's key.
    match (system.get::<Secret>(&key()).await.map_err(|error| unreadable(&error))?, committed) {
        (Some(stored), _) => Ok(Login::new(stored.value)),
        (None, Err(error)) => Err(unreadable(&error)),
        (None, Ok(())) => Err(StartError::internal("the log-in key", &"it is gone")),
    }
}
