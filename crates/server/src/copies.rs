//! Copies of an installation's store: backups from a running server or a stopped one, restores, moves to another store, and checks. What
//! is copied and how is `usher_transfer`'s; here stands where it comes from and where it goes.

mod backup;
mod blocking;
mod door;
mod fill;
mod key;
mod place;

pub use backup::{Backup, Checked, Subject, backup, check};
pub use fill::{Copied, migrate, restore};
pub use place::Place;
pub use usher_transfer::{CopyError, Filled, Header, Progress, Silent, Stage, Summary};

pub(crate) use door::BackupDoor;

use usher_store::Store;

use crate::StartError;

/// Refuses a store that a copy has not yet filled wholly.
pub(crate) async fn refuse_unfinished(store: &dyn Store) -> Result<(), StartError> {
    match usher_transfer::is_unfinished(store).await {
        Ok(false) => Ok(()),
        Ok(true) => {
            let next = "Run the same `usher restore` or `usher migrate` again: it goes on from where it was.";
            Err(StartError::new("the store is the target of a copy that has not ended", next))
        }
        Err(error) => Err(StartError::new(format!("the store cannot be read: {error}"), "Mend that, and start again.")),
    }
}

impl From<StartError> for CopyError {
    fn from(error: StartError) -> Self {
        let (what, next) = error.parts();
        Self::new(what, next)
    }
}
