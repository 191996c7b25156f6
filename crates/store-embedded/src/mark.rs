//! The mark: the format's version, and how many groups of commits are durable, in a file beside the engine's own.
//!
//! The engine takes the first unreadable place of its journal for the torn end that a crash leaves, and drops what follows. Rot in
//! the middle of a journal, or a journal that is gone, would so lose acknowledged commits without a word. The mark tells the two
//! apart: it is written after a group is synced and before the group is acknowledged, so what it counts must be there. It is not
//! synced itself. It survives the death of the process exactly; after a loss of power it may lag, never lead.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::OpenError;

/// The format that this version writes. It covers the engine's files and how keys and values lie in them.
const FORMAT: u8 = 1;
const NAME: &str = "mark";
const MAGIC: &[u8; 7] = b"usherst";
/// `magic (7) || format (1) || groups (8, big-endian) || groups inverted (8)`: within one sector, so written whole or not at all.
const BYTES: usize = 24;

/// The open mark.
pub struct Mark(File);

impl Mark {
    /// How many groups the mark in `folder` counts; `None` where there is no mark.
    pub fn read(folder: &Path) -> Result<Option<u64>, OpenError> {
        let bytes = match fs::read(folder.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::io(folder, &error)),
        };
        let damaged = || OpenError::corrupt(folder, format!("the file {NAME} is not what was written"));
        let (magic, rest) = bytes.split_first_chunk::<7>().ok_or_else(damaged)?;
        let (format, rest) = rest.split_first().ok_or_else(damaged)?;
        if magic != MAGIC {
            return Err(damaged());
        }
        if *format > FORMAT {
            return Err(OpenError::Newer { folder: folder.display().to_string(), format: *format });
        }
        let (groups, inverted) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let groups = u64::from_be_bytes(*groups);
        if *format != FORMAT || inverted != (!groups).to_be_bytes() {
            return Err(damaged());
        }
        Ok(Some(groups))
    }

    /// Makes the mark, or takes it over, and sets it to `groups`.
    pub fn open(folder: &Path, groups: u64) -> io::Result<Self> {
        let path = folder.join(NAME);
        if !path.try_exists()? {
            let beside = folder.join("mark.new");
            let mut file = File::create(&beside)?;
            file.write_all(&encode(groups))?;
            file.sync_all()?;
            fs::rename(beside, &path)?;
            File::open(folder)?.sync_all()?;
        }
        let mark = Self(OpenOptions::new().write(true).open(path)?);
        mark.set(groups)?;
        Ok(mark)
    }

    /// Sets the mark.
    pub fn set(&self, groups: u64) -> io::Result<()> {
        self.0.write_all_at(&encode(groups), 0)
    }
}

fn encode(groups: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let parts = MAGIC.iter().copied().chain([FORMAT]).chain(groups.to_be_bytes()).chain((!groups).to_be_bytes());
    for (out, byte) in bytes.iter_mut().zip(parts) {
        *out = byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_is_found_again_and_any_changed_bit_is_noticed() {
        let folder = std::env::temp_dir().join(format!("usher-mark-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let _ = fs::remove_file(folder.join(NAME));
        assert!(Mark::read(&folder).unwrap().is_none());
        Mark::open(&folder, 3).unwrap().set(0x0102_0304_0506).unwrap();
        assert_eq!(Mark::read(&folder).unwrap(), Some(0x0102_0304_0506));
        let good = fs::read(folder.join(NAME)).unwrap();
        for bit in 0..BYTES * 8 {
            let mut bent = good.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.join(NAME), bent).unwrap();
            assert!(Mark::read(&folder).is_err(), "bit {bit}");
        }
        fs::write(folder.join(NAME), &good[..BYTES - 1]).unwrap();
        assert!(matches!(Mark::read(&folder), Err(OpenError::Corrupt { .. })));
        fs::write(folder.join(NAME), [MAGIC.as_slice(), &[FORMAT + 1]].concat()).unwrap();
        assert!(matches!(Mark::read(&folder), Err(OpenError::Newer { format: 2, .. })));
        fs::remove_dir_all(folder).unwrap();
    }
}
