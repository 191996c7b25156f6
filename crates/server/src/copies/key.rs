//! The master keys of a place: found, or put where they belong.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use usher_seal::{KeyError, MasterKey, MasterKeys};
use usher_transfer::CopyError;

use super::Place;
use crate::serve;

/// The key in a file.
pub fn from_file(path: &Path) -> Result<MasterKeys, CopyError> {
    MasterKey::from_file(path, false).map(MasterKeys::from).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &KeyError) -> CopyError {
    CopyError::new(format!("the master key {}: {error}", path.display()), "Give the file with the key: --master-key FILE.")
}

/// The keys of a place: the one given, or those that the place has; `None` where there are none.
pub fn of(place: &Place, given: Option<&Path>) -> Result<Option<MasterKeys>, CopyError> {
    given.map_or_else(|| at(place), |path| from_file(path).map(Some))
}

/// The keys that a place has.
fn at(place: &Place) -> Result<Option<MasterKeys>, CopyError> {
    if own_file(place)?.is_some_and(|path| !path.exists()) {
        return Ok(None);
    }
    match place {
        Place::Address(_) => Ok(None),
        Place::State(_) => own_file(place)?.map(|path| from_file(&path)).transpose(),
        Place::Config(file) => serve::store_of(file)?.masters().map(Some).map_err(|why| {
            let next = "Put it where the configuration says, or give --master-key FILE.";
            CopyError::new(format!("the configuration {}: {why}", file.display()), next)
        }),
    }
}

/// The keys, or what to do where there are none.
pub fn needed(place: &Place, given: Option<&Path>) -> Result<MasterKeys, CopyError> {
    let next = "Give the file with the key: --master-key FILE; or the configuration that names it: --config FILE.";
    of(place, given)?.ok_or_else(|| CopyError::new("the store's master key is needed", next))
}

/// The file where a place has its key.
fn own_file(place: &Place) -> Result<Option<PathBuf>, CopyError> {
    Ok(match place {
        Place::State(folder) => Some(folder.join("master.key")),
        Place::Config(file) => serve::store_of(file)?.key_file,
        Place::Address(_) => None,
    })
}

/// The keys that a server on this place will have, once records that `masters` open are there and [`put`] was called. They must open
/// all of those records: that is the caller's to prove.
///
/// # Errors
/// Where the place has other keys, or its key is in a token and cannot be put there.
pub fn future(place: &Place, masters: &MasterKeys) -> Result<MasterKeys, CopyError> {
    match (at(place)?, place) {
        (Some(own), _) if share_one(&own, masters) => Ok(own),
        (Some(_), _) => Err(another(place)?),
        (None, Place::Address(_)) => Ok(masters.clone()),
        (None, _) if masters.current().is_held() => Err(held()),
        (None, _) => Ok(masters.current().into()),
    }
}

/// Whether any key is among both.
pub fn share_one(one: &MasterKeys, other: &MasterKeys) -> bool {
    let others: Vec<_> = other.all().iter().map(MasterKey::check).collect();
    one.all().iter().any(|key| others.contains(&key.check()))
}

/// Puts the current key where the place has it, unless a key is there.
pub fn put(place: &Place, masters: &MasterKeys) -> Result<(), CopyError> {
    let Some(path) = own_file(place)?.filter(|path| !path.exists()) else { return Ok(()) };
    let text = masters.current().to_base64().ok_or_else(held)?;
    if let Place::State(folder) = place {
        serve::make_folder(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| unwritable(&path, &error))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| unwritable(&path, &error))
}

fn another(place: &Place) -> Result<CopyError, CopyError> {
    let own = own_file(place)?.map_or("the target's".into(), |path| path.display().to_string());
    let what = format!("{own} is another master key than that of the records");
    Ok(CopyError::new(what, "Nothing was written. Take another target, or move that key away."))
}

fn held() -> CopyError {
    let what = "the records' master key is in a token, and cannot be put into a file";
    CopyError::new(what, "Nothing was written. Give a configuration as the target whose [master_key] names the token.")
}

fn unwritable(path: &Path, error: &std::io::Error) -> CopyError {
    CopyError::new(format!("the master key {} cannot be written: {error}", path.display()), "Choose a folder that this user may write.")
}
