//! Which file is damaged, once something is known to be: the engine's errors do not say. Decides nothing but words.
//!
//! The engine (lsm-tree 3) keeps a chain of checksums: `current` names the manifest in force, with the XXH3-128 of that file, and the
//! manifest lists the tables, each with its own. Whoever follows it finds the file. Journals have no place in the chain.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;
/// Largest manifest, in bytes; one lists some thousands of tables.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The first file below `folder` that is not what the engine wrote, relative to it. Reads all tables.
pub fn find(folder: &Path) -> Option<String> {
    let mut keyspaces: Vec<PathBuf> = fs::read_dir(folder.join("keyspaces")).ok()?.flatten().map(|entry| entry.path()).collect();
    keyspaces.sort();
    let found = keyspaces.iter().find_map(|keyspace| in_keyspace(keyspace))?;
    Some(found.strip_prefix(folder).unwrap_or(&found).display().to_string())
}

fn in_keyspace(keyspace: &Path) -> Option<PathBuf> {
    let current = keyspace.join("current");
    let Some((version, expected)) = fs::read(&current).ok().as_deref().and_then(read_current) else { return Some(current) };
    let manifest = keyspace.join(format!("v{version}"));
    if checksum(&manifest).ok() != Some(expected) {
        // Where the number itself is damaged there is no such manifest.
        return Some(if manifest.exists() { manifest } else { current });
    }
    let Ok(tables) = read_tables(&manifest) else { return Some(manifest) };
    let path = |id: u64| keyspace.join("tables").join(id.to_string());
    tables.into_iter().find(|(id, expected)| checksum(&path(*id)).ok() != Some(*expected)).map(|(id, _)| path(id))
}

/// `version (8) || checksum (16) || kind of checksum (1)`, little-endian.
fn read_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let (version, rest) = bytes.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<16>()?;
    (rest == [0]).then(|| (u64::from_le_bytes(*version), u128::from_le_bytes(*checksum)))
}

fn checksum(path: &Path) -> io::Result<u128> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Xxh3Default::new(), vec![0; BUFFER_BYTES]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.digest128()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// The tables of a manifest with their checksums: levels of runs of `id (8) || kind (1) || checksum (16) || number (8)`.
fn read_tables(manifest: &Path) -> io::Result<Vec<(u64, u128)>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let archive = sfa::Reader::new(manifest).map_err(|_| wrong())?;
    let section = archive.toc().section(b"tables").ok_or_else(wrong)?;
    let mut file = File::open(manifest)?;
    file.seek(SeekFrom::Start(section.pos()))?;
    let mut bytes = io::BufReader::new(file.take(section.len().min(MANIFEST_BYTES_MAX)));
    let mut tables = Vec::new();
    for _level in 0..u8::from_le_bytes(take(&mut bytes)?) {
        for _run in 0..u8::from_le_bytes(take(&mut bytes)?) {
            for _table in 0..u32::from_le_bytes(take(&mut bytes)?) {
                let id = u64::from_le_bytes(take(&mut bytes)?);
                let _kind: [u8; 1] = take(&mut bytes)?;
                tables.push((id, u128::from_le_bytes(take(&mut bytes)?)));
                let _number: [u8; 8] = take(&mut bytes)?;
            }
        }
    }
    Ok(tables)
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}
