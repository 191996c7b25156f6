//! The master key's file: read only where it is private, made so that no two makers can end with two keys.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{KeyError, MasterKey};

/// Longest file read, in bytes: the key is 44 characters, the rest is white space.
const FILE_BYTES_MAX: u64 = 256;
/// Permissions of anyone but the owner.
const OTHERS: u32 = 0o077;

/// Reads the key; makes it first where it is missing and `create` says so.
pub fn read(path: &Path, create: bool) -> Result<MasterKey, KeyError> {
    match File::open(path) {
        Ok(file) => parse(file),
        Err(error) if create && error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(KeyError::Io(error)),
    }
}

/// The mode is that of the open file, which nobody can exchange in between.
fn parse(file: File) -> Result<MasterKey, KeyError> {
    if file.metadata().map_err(KeyError::Io)?.permissions().mode() & OTHERS != 0 {
        return Err(KeyError::Exposed);
    }
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX as usize));
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => KeyError::NotAKey,
        _ => KeyError::Io(error),
    })?;
    MasterKey::from_base64(&text).ok_or(KeyError::NotAKey)
}

/// Written beside its place, synced, then linked to it: a crash leaves a whole key or none, and of two makers one gets the other's.
/// (A rename would replace the other's key, under which it may already have sealed.)
fn make(path: &Path) -> Result<MasterKey, KeyError> {
    let key = MasterKey::generate().map_err(|_| KeyError::Module)?;
    let text = key.to_base64().ok_or(KeyError::Module)?;
    let beside = path.with_extension(format!("{:016x}.new", random()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(KeyError::Io)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&beside, path));
    fs::remove_file(&beside).map_err(KeyError::Io)?;
    match linked {
        Ok(()) => sync_folder(path).map(|()| key).map_err(KeyError::Io),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path).map_err(KeyError::Io).and_then(parse),
        Err(error) => Err(KeyError::Io(error)),
    }
}

fn random() -> Result<u64, KeyError> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Module)?;
    Ok(u64::from_be_bytes(bytes))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("usher-key-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_key_file_is_made_private_and_found_again() {
        let folder = folder("made");
        let path = folder.join("master.key");
        assert!(matches!(read(&path, false), Err(KeyError::Io(_))));
        let made = read(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(made.bytes() == read(&path, true).unwrap().bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path, true), Err(KeyError::Exposed)));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in [b"c2hvcnQ=".as_slice(), b"", b"\xff\xfe", &[b'A'; 1000]] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path, true), Err(KeyError::NotAKey)), "{text:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn many_who_make_the_key_at_once_get_the_same_one() {
        let folder = folder("race");
        let path = folder.join("master.key");
        let keys: Vec<MasterKey> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..16).map(|_| scope.spawn(|| read(&path, true).unwrap())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0].bytes() == pair[1].bytes()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only the key is left in the folder");
        fs::remove_dir_all(folder).unwrap();
    }
}
