//! Restoring a backup, and moving to another store.

use std::path::Path;

use usher_seal::MasterKey;
use usher_store::Store;
use usher_transfer::{CopyError, Filled, Progress, Stage, Summary, Walk, fill};

use super::{
    Place,
    backup::open_backup,
    key,
    place::{open_alone, snapshot, told},
};

/// A copy that was made and compared.
pub struct Copied {
    /// What source and target hold, both.
    pub summary: Summary,
    /// How it went.
    pub filled: Filled,
    /// Whether every record was opened with the master key.
    pub opened: bool,
}

/// Fills an empty place from a backup. All of the backup is checked before anything is written.
///
/// # Errors
/// Where the backup is damaged, its key is missing or another, the place is not empty, or something fails on the way; then it can be
/// run again.
pub async fn restore(file: &Path, to: &Place, given_key: Option<&Path>, progress: &mut dyn Progress) -> Result<Copied, CopyError> {
    let (mut reader, master) = open_backup(file, key::of(to, given_key)?).await?;
    let master = master.ok_or_else(|| {
        CopyError::new("the backup does not hold its master key", "Give the key that was kept apart from it: --master-key FILE.")
    })?;
    let read = Walk::new(&mut reader, Some(&master), Stage::Reading, None).whole(progress).await;
    let summary = told(&mut reader, read)?;
    key::put(to, &master)?;
    let target = open_alone(&to.address()?, "target", true).await?;
    let (mut reader, _) = open_backup(file, Some(master)).await?;
    let filled = fill(&mut reader, &summary, target.as_ref(), progress).await;
    Ok(Copied { filled: told(&mut reader, filled)?, summary, opened: true })
}

/// Copies everything from one store to another, which must be empty or the target of an earlier attempt. Neither may be in use.
///
/// # Errors
/// Where one of them is in use, the target holds something else, their keys are not the same, or something fails on the way; then it
/// can be run again.
pub async fn migrate(from: &Place, to: &Place, given_key: Option<&Path>, progress: &mut dyn Progress) -> Result<Copied, CopyError> {
    let master = same_key(key::of(from, given_key)?, key::of(to, given_key)?)?;
    let source = open_alone(&from.address()?, "source", false).await?;
    let mut view = snapshot(source.as_ref()).await?;
    let summary = Walk::new(view.as_mut(), master.as_ref(), Stage::Reading, None).whole(progress).await?;
    if let Some(master) = &master {
        key::put(to, master)?;
    }
    let target = open_alone(&to.address()?, "target", true).await?;
    let mut view = snapshot(source.as_ref()).await?;
    let filled = fill(view.as_mut(), &summary, target.as_ref(), progress).await?;
    refuse_changed(source.as_ref(), &summary, progress).await?;
    Ok(Copied { summary, filled, opened: master.is_some() })
}

fn same_key(from: Option<MasterKey>, to: Option<MasterKey>) -> Result<Option<MasterKey>, CopyError> {
    match (from, to) {
        (Some(from), Some(to)) if !from.is(&to) => {
            let next = "Records stay sealed as they are: give the target the source's master key.";
            Err(CopyError::new("source and target have different master keys", next))
        }
        (from, to) => Ok(from.or(to)),
    }
}

/// A node may have been started on the source meanwhile.
async fn refuse_changed(source: &dyn Store, summary: &Summary, progress: &mut dyn Progress) -> Result<(), CopyError> {
    let mut view = snapshot(source).await?;
    if Walk::new(view.as_mut(), None, Stage::Comparing, Some(summary.records + summary.counters)).whole(progress).await? == *summary {
        return Ok(());
    }
    let next = "Stop every node on it, empty the target, and begin again.";
    Err(CopyError::new("the source was written to while it was copied; the target does not have that", next))
}
