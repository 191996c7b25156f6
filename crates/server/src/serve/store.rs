//! Opening the store that the configuration names.

use std::{path::Path, sync::Arc, time::Duration};

use tracing::warn;
use usher_store::Store;
use usher_store_embedded::EmbeddedStore;
use usher_store_postgres::{OpenError, Options, PostgresStore};

use super::settings::StoreAddress;
use crate::{StartError, copies};

/// Tries at a database that cannot be reached, before whoever started this node is told: a service manager would start it again.
const TRIES_MAX: usize = 30;
/// Between two of them.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// The store, and whether this node has it for itself.
pub async fn open(address: &StoreAddress) -> Result<(Arc<dyn Store>, bool), StartError> {
    let (store, alone) = open_any(address).await?;
    copies::refuse_unfinished(store.as_ref()).await?;
    Ok((store, alone))
}

async fn open_any(address: &StoreAddress) -> Result<(Arc<dyn Store>, bool), StartError> {
    match address {
        StoreAddress::Embedded(folder) => {
            make_folder(folder)?;
            let next = "An embedded store serves one node; several need PostgreSQL.";
            let store = EmbeddedStore::open(folder).map_err(|error| StartError::new(error.to_string(), next))?;
            Ok((Arc::new(store), true))
        }
        StoreAddress::Postgres { address, password } => {
            let options = Options { password: password.as_ref().map(|password| password.expose().to_owned()), ..Options::default() };
            let store = open_database(address.expose(), &options).await;
            let store = store.map_err(|error| StartError::new(error.to_string(), "docs/postgres.md says what the address may hold."))?;
            Ok((Arc::new(store), false))
        }
    }
}

/// Nodes and their database often start together: one that is not there yet is waited for.
async fn open_database(address: &str, options: &Options) -> Result<PostgresStore, OpenError> {
    for _ in 0..TRIES_MAX {
        match PostgresStore::open(address, options).await {
            Err(OpenError::Unreachable(why)) => warn!(check = "store", detail = why, "waiting for the database"),
            outcome => return outcome,
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    PostgresStore::open(address, options).await
}

/// Makes a store's folder, for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let next = "Choose a folder that this user may write (store.address).";
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| StartError::new(format!("the store's folder {}: {error}", folder.display()), next))
}
