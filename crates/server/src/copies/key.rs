//! The master key of a place: found, or put where it belongs.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use usher_seal::{KeyError, MasterKey};
use usher_transfer::CopyError;

use super::Place;
use crate::serve;

/// The key in a file.
pub fn from_file(path: &Path) -> Result<MasterKey, CopyError> {
    MasterKey::from_file(path, false).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &KeyError) -> CopyError {
    CopyError::new(format!("the master key {}: {error}", path.display()), "Give the file with the key: --master-key FILE.")
}

/// The key that belongs to a place: the one given, or that which lies there; `None` where there is none.
pub fn of(place: &Place, given: Option<&Path>) -> Result<Option<MasterKey>, CopyError> {
    if let Some(path) = given {
        return from_file(path).map(Some);
    }
    match place {
        Place::Address(_) => Ok(None),
        Place::State(_) => own_file(place)?.filter(|path| path.exists()).map(|path| from_file(&path)).transpose(),
        Place::Config(file) => match own_file(place)? {
            Some(path) if !path.exists() => Ok(None),
            _ => {
                let key = serve::store_of(file)?.key();
                key.map(Some).map_err(|why| {
                    CopyError::new(format!("the master key: {why}"), "Put it where the configuration says, or give --master-key FILE.")
                })
            }
        },
    }
}

/// The key, or what to do where there is none.
pub fn needed(place: &Place, given: Option<&Path>) -> Result<MasterKey, CopyError> {
    let missing = || CopyError::new("the store's master key is needed", "Give the file with the key: --master-key FILE.");
    of(place, given)?.ok_or_else(missing)
}

/// The file where a place has its key.
fn own_file(place: &Place) -> Result<Option<PathBuf>, CopyError> {
    Ok(match place {
        Place::State(folder) => Some(folder.join("master.key")),
        Place::Config(file) => serve::store_of(file)?.key_file,
        Place::Address(_) => None,
    })
}

/// Puts the key where the place has it, unless a key is there, which must then be this one.
pub fn put(place: &Place, key: &MasterKey) -> Result<(), CopyError> {
    let Some(path) = own_file(place)? else { return Ok(()) };
    if path.exists() {
        return if from_file(&path)?.is(key) { Ok(()) } else { Err(another(&path)) };
    }
    if let Place::State(folder) = place {
        serve::make_folder(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| unwritable(&path, &error))?;
    file.write_all(key.to_base64().as_bytes()).and_then(|()| file.sync_all()).map_err(|error| unwritable(&path, &error))
}

fn another(path: &Path) -> CopyError {
    let what = format!("{} is another master key than that of the records", path.display());
    CopyError::new(what, "Nothing was written. Take another target, or move that key away.")
}

fn unwritable(path: &Path, error: &std::io::Error) -> CopyError {
    CopyError::new(format!("the master key {} cannot be written: {error}", path.display()), "Choose a folder that this user may write.")
}
