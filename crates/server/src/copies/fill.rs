//! Restoring a backup, and moving to another store.

use std::path::Path;

use usher_seal::MasterKeys;
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
    let (mut reader, masters) = open_backup(file, key::of(to, given_key)?).await?;
    let masters = masters.ok_or_else(|| {
        CopyError::new("the backup does not hold its master key", "Give the key that was kept apart from it: --master-key FILE.")
    })?;
    let kept = key::future(to, &masters)?;
    let read = Walk::new(&mut reader, Some(&kept), Stage::Reading, None).whole(progress).await;
    let summary = told(&mut reader, read)?;
    key::put(to, &kept)?;
    let target = open_alone(&to.address()?, "target", true).await?;
    let (mut reader, _) = open_backup(file, Some(masters)).await?;
    let filled = fill(&mut reader, &summary, target.as_ref(), progress).await;
    Ok(Copied { filled: told(&mut reader, filled)?, summary, opened: true })
}

/// Copies everything from one store to another, which must be empty or the target of an earlier attempt. Neither may be in use.
///
/// # Errors
/// Where one of them is in use, the target holds something else, their keys are not the same, or something fails on the way; then it
/// can be run again.
pub async fn migrate(from: &Place, to: &Place, given_key: Option<&Path>, progress: &mut dyn Progress) -> Result<Copied, CopyError> {
    let masters = same_key(key::of(from, given_key)?, key::of(to, given_key)?)?;
    let kept = masters.map(|masters| key::future(to, &masters)).transpose()?;
    let source = open_alone(&from.address()?, "source", false).await?;
    let mut view = snapshot(source.as_ref()).await?;
    let summary = Walk::new(view.as_mut(), kept.as_ref(), Stage::Reading, None).whole(progress).await?;
    if let Some(kept) = &kept {
        key::put(to, kept)?;
    }
    let target = open_alone(&to.address()?, "target", true).await?;
    let mut view = snapshot(source.as_ref()).await?;
    let filled = fill(view.as_mut(), &summary, target.as_ref(), progress).await?;
    refuse_changed(source.as_ref(), &summary, progress).await?;
    Ok(Copied { summary, filled, opened: kept.is_some() })
}

fn same_key(from: Option<MasterKeys>, to: Option<MasterKeys>) -> Result<Option<MasterKeys>, CopyError> {
    match (from, to) {
        (Some(from), Some(to)) if !key::share_one(&from, &to) => {
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
