//! Where a store is, as an operator says it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::net::UnixStream;
use usher_domain::{Secret, clock::Clock};
use usher_store::{Snapshot, Store};
use usher_store_embedded::{EmbeddedStore, OpenError};
use usher_store_postgres::{Options, PostgresStore};
use usher_transfer::{CopyError, Header, Reader};

use super::door;
use crate::serve::{self, StoreAddress};

/// Where a store is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// A state folder of `usher dev`: the store and its master key.
    State(PathBuf),
    /// What a configuration of `usher serve` says.
    Config(PathBuf),
    /// An address as it stands in such a configuration. The password of a database may stand in the environment, as `PGPASSWORD`.
    Address(Secret),
}

impl Place {
    /// Reads `embedded:FOLDER`, `postgres://…`, a configuration's path, which ends in `.toml`, or else a state folder's.
    pub fn parse(text: &str) -> Self {
        let address = ["embedded:", "postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        match text {
            _ if address => Self::Address(Secret::new(text)),
            _ if text.ends_with(".toml") => Self::Config(text.into()),
            _ => Self::State(text.into()),
        }
    }

    /// Where the records are.
    pub(super) fn address(&self) -> Result<StoreAddress, CopyError> {
        match self {
            Self::State(folder) => Ok(StoreAddress::Embedded(folder.join("store"))),
            Self::Config(file) => Ok(serve::store_of(file)?.address),
            Self::Address(address) => Ok(match address.expose().strip_prefix("embedded:") {
                Some(folder) => StoreAddress::Embedded(folder.into()),
                None => StoreAddress::Postgres { address: address.clone(), password: std::env::var("PGPASSWORD").ok().map(Secret::new) },
            }),
        }
    }
}

/// A store that is read.
pub(super) enum Source {
    /// This process has it.
    Store(Arc<dyn Store>),
    /// A running server has it, and gives what it holds.
    Server(UnixStream),
}

impl Source {
    /// Opens a store that is there. One that a server has open is read through that server.
    pub async fn open(address: &StoreAddress) -> Result<Self, CopyError> {
        match address {
            StoreAddress::Embedded(folder) => match open_embedded(folder) {
                Err(OpenError::Locked { .. }) => door::connect(folder).await.map(Self::Server).map_err(|error| {
                    let what = format!("the store in {} is in use by a process that gives no backup: {error}", folder.display());
                    CopyError::new(what, "Stop that process, or take the backup once it has started.")
                }),
                Err(error) => Err(refused(&error.to_string())),
                Ok(None) => Err(nothing(folder)),
                Ok(Some(store)) => Ok(Self::Store(store)),
            },
            StoreAddress::Postgres { .. } => Ok(Self::Store(open_database(address).await?)),
        }
    }
}

fn nothing(folder: &Path) -> CopyError {
    CopyError::new(format!("there is no store in {}", folder.display()), "Say where it is: --state DIR, --config FILE or --store ADDRESS.")
}

/// A store that nobody else has open: where one is in use, whoever uses it must be stopped.
pub(super) async fn open_alone(address: &StoreAddress, role: &str, make: bool) -> Result<Arc<dyn Store>, CopyError> {
    let stop =
        |who: String| CopyError::new(format!("the {role} is in use: {who}"), "Stop that first; what it wrote meanwhile would be lost.");
    match address {
        StoreAddress::Embedded(folder) => {
            if make && !EmbeddedStore::is_in(folder) {
                serve::make_folder(folder)?;
                return EmbeddedStore::open(folder).map(|store| Arc::new(store) as _).map_err(|error| refused(&error.to_string()));
            }
            match open_embedded(folder) {
                Err(error @ OpenError::Locked { .. }) => Err(stop(error.to_string())),
                Err(error) => Err(refused(&error.to_string())),
                Ok(None) => Err(nothing(folder)),
                Ok(Some(store)) => Ok(store),
            }
        }
        StoreAddress::Postgres { address: text, .. } => {
            let nodes = PostgresStore::connections(text.expose(), &options(address)).await.map_err(|error| refused(&error.to_string()))?;
            if nodes > 0 {
                return Err(stop(format!("nodes have {nodes} connections to the database")));
            }
            open_database(address).await
        }
    }
}

fn open_embedded(folder: &Path) -> Result<Option<Arc<dyn Store>>, OpenError> {
    if !EmbeddedStore::is_in(folder) {
        return Ok(None);
    }
    EmbeddedStore::open(folder).map(|store| Some(Arc::new(store) as _))
}

async fn open_database(address: &StoreAddress) -> Result<Arc<dyn Store>, CopyError> {
    let StoreAddress::Postgres { address: text, .. } = address else { return Err(refused("it is no database")) };
    let store = PostgresStore::open(text.expose(), &options(address)).await;
    Ok(Arc::new(store.map_err(|error| refused(&error.to_string()))?))
}

fn options(address: &StoreAddress) -> Options {
    let password = match address {
        StoreAddress::Postgres { password, .. } => password.as_ref().map(|password| password.expose().to_owned()),
        StoreAddress::Embedded(_) => None,
    };
    Options { password, ..Options::default() }
}

fn refused(why: &str) -> CopyError {
    CopyError::new(why, "docs/backup.md tells of stores and their addresses.")
}

/// Refuses to copy from a store that is itself not wholly there.
pub(super) async fn snapshot(store: &dyn Store) -> Result<Box<dyn Snapshot>, CopyError> {
    super::refuse_unfinished(store).await?;
    store.snapshot().await.map_err(|error| CopyError::new(format!("the store cannot be read: {error}"), "Mend that, and run it again."))
}

/// What a reader has to say beyond the error that it gave as a snapshot.
pub(super) fn told<S: tokio::io::AsyncRead + Unpin + Send, T>(
    reader: &mut Reader<S>,
    outcome: Result<T, CopyError>,
) -> Result<T, CopyError> {
    outcome.map_err(|error| reader.failure().unwrap_or(error))
}

/// What a backup taken now says of itself.
pub(super) fn header(store: &str, clock: &dyn Clock) -> Header {
    Header { created: clock.now().to_string(), usher: env!("CARGO_PKG_VERSION").into(), store: store.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_by_how_it_is_written() {
        assert_eq!(Place::parse(".usher"), Place::State(".usher".into()));
        assert_eq!(Place::parse("/etc/usher/usher.toml"), Place::Config("/etc/usher/usher.toml".into()));
        for address in ["embedded:/var/lib/usher", "postgres://u@h/d", "postgresql://u@h/d?x=y.toml"] {
            assert_eq!(Place::parse(address), Place::Address(Secret::new(address)));
        }
    }
}
