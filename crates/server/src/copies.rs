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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use usher_store::{
        Op, conformance,
        memory::{Fault, MemoryStore},
    };
    use usher_transfer::{Walk, fill};

    use super::*;

    #[tokio::test]
    async fn no_server_starts_on_a_store_that_is_half_filled() {
        let (source, target) = (MemoryStore::default(), MemoryStore::default());
        source.commit(vec![Op::Add { key: conformance::key("n"), delta: 1 }]).await.unwrap();
        let mut view = source.snapshot().await.unwrap();
        let origin = Walk::new(view.as_mut(), None, Stage::Reading, None).whole(&mut Silent).await.unwrap();
        assert!(refuse_unfinished(&target).await.is_ok());
        target.fail_next([Fault::After]);
        assert!(fill(source.snapshot().await.unwrap().as_mut(), &origin, &target, &mut Silent).await.is_err());
        let why = refuse_unfinished(&target).await.unwrap_err().to_string();
        assert!(why.contains("has not ended") && why.contains("again"), "{why}");
        assert_eq!(fill(source.snapshot().await.unwrap().as_mut(), &origin, &target, &mut Silent).await, Ok(Filled::Resumed));
        assert!(refuse_unfinished(&target).await.is_ok());
    }
}
