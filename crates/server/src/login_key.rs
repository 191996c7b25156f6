//! The key that tokens of log-ins are signed with: a record, so that every node verifies what another one gave.

use usher_api_management::Login;
use usher_domain::clock::Entropy;
use usher_records::Vault;
use usher_store::Space;

use crate::{StartError, kept_secret::kept_secret};

/// Where the key lies, under tenant 0.
const LOGIN: Space = Space(102);

/// The log-in of the installation whose records of tenant 0 are in `system`.
pub async fn login(system: &Vault, entropy: &dyn Entropy) -> Result<Login, StartError> {
    kept_secret(system, LOGIN, "key", entropy).await.map(Login::new)
}
