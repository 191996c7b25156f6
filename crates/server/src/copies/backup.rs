//! Taking backups, and checking stores and backups.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use usher_domain::clock::Clock as _;
use usher_seal::MasterKeys;
use usher_store::Snapshot;
use usher_transfer::{CopyError, Header, Progress, Reader, Stage, Summary, Walk, write};

use super::{
    Place,
    blocking::{Sink, Source as FileSource},
    key,
    place::{Source, header, snapshot, told},
};
use crate::{ambient::SystemClock, serve::StoreAddress};

/// A backup that was taken.
pub struct Backup {
    /// Where it is.
    pub file: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// What it holds.
    pub summary: Summary,
}

/// What can be checked.
pub enum Subject {
    /// A store.
    Store(Place),
    /// A backup file, and where its master keys are, if not given otherwise.
    Backup(PathBuf, Option<Place>),
}

/// What a check has found.
pub struct Checked {
    /// What there is.
    pub summary: Summary,
    /// Whether every record was opened with the master key, for want of which only its checksums were compared.
    pub opened: bool,
    /// What a backup says of itself.
    pub header: Option<Header>,
}

/// Takes a backup of a store, also while a server uses it. `to` is a new file's name, or a folder where a file is named by the time.
///
/// # Errors
/// Where the store cannot be read, the key does not fit, or the file cannot be written; there is no file then.
pub async fn backup(
    from: &Place,
    given_key: Option<&Path>,
    to: &Path,
    with_key: bool,
    progress: &mut dyn Progress,
) -> Result<Backup, CopyError> {
    let address = from.address()?;
    let source = Source::open(&address).await?;
    let masters = sealing(from, given_key, with_key)?;
    let kind = if matches!(address, StoreAddress::Embedded(_)) { "embedded" } else { "postgres" };
    let (header, file) = (header(kind, &SystemClock), file_name(to));
    if file.exists() {
        return Err(CopyError::new(format!("{} is there already", file.display()), "Choose another name, or a folder."));
    }
    // Beside its place first, so that what bears the name is whole and durable.
    let beside = beside(&file);
    let _ = fs::remove_file(&beside);
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let sink = Sink::new(opened.map_err(|error| unwritable(&beside, &error))?);
    let written = write_from(source, &header, &masters, with_key, sink, progress).await;
    let placed = written.and_then(|(sink, summary)| {
        let synced = sink.sync().and_then(|()| fs::rename(&beside, &file)).and_then(|()| sync_folder(&file));
        synced.map_err(|error| unwritable(&file, &error))?;
        Ok(summary)
    });
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    Ok(Backup { summary: placed?, file, header })
}

/// The keys that open what is copied. What goes into the file must open it alone.
fn sealing(from: &Place, given_key: Option<&Path>, with_key: bool) -> Result<MasterKeys, CopyError> {
    let masters = key::needed(from, given_key)?;
    Ok(if with_key { masters.current().into() } else { masters })
}

async fn write_from(
    source: Source,
    header: &Header,
    masters: &MasterKeys,
    with_key: bool,
    sink: Sink,
    progress: &mut dyn Progress,
) -> Result<(Sink, Summary), CopyError> {
    match source {
        Source::Store(store) => {
            let mut snapshot = snapshot(store.as_ref()).await?;
            write(snapshot.as_mut(), header, masters, (with_key, true), sink, progress).await
        }
        Source::Server(stream) => {
            let mut reader = Reader::open(tokio::io::BufReader::new(stream), Some(masters.clone())).await?;
            let outcome = write(&mut reader, header, masters, (with_key, true), sink, progress).await;
            told(&mut reader, outcome)
        }
    }
}

/// Goes through a store or a backup: checksums, order, and with the master key the seal of every record.
///
/// # Errors
/// Where something is damaged, or the key does not fit.
pub async fn check(subject: &Subject, given_key: Option<&Path>, progress: &mut dyn Progress) -> Result<Checked, CopyError> {
    match subject {
        Subject::Backup(file, keys) => {
            let given = match keys {
                Some(place) => key::of(place, given_key)?,
                None => given_key.map(key::from_file).transpose()?,
            };
            let (mut reader, masters) = open_backup(file, given).await?;
            let header = Some(reader.header().clone());
            let summary = whole(&mut reader, masters.as_ref(), progress).await;
            Ok(Checked { summary: told(&mut reader, summary)?, opened: masters.is_some(), header })
        }
        Subject::Store(place) => {
            let masters = key::of(place, given_key)?;
            let opened = masters.is_some();
            let summary = match Source::open(&place.address()?).await? {
                Source::Store(store) => whole(snapshot(store.as_ref()).await?.as_mut(), masters.as_ref(), progress).await?,
                Source::Server(stream) => {
                    let mut reader = Reader::open(tokio::io::BufReader::new(stream), masters.clone()).await?;
                    let summary = whole(&mut reader, masters.as_ref(), progress).await;
                    told(&mut reader, summary)?
                }
            };
            Ok(Checked { summary, opened, header: None })
        }
    }
}

async fn whole(snapshot: &mut dyn Snapshot, masters: Option<&MasterKeys>, progress: &mut dyn Progress) -> Result<Summary, CopyError> {
    Walk::new(snapshot, masters, Stage::Reading, None).whole(progress).await
}

/// A backup file, and the keys by which it is read: those given, or else the one inside.
pub(super) async fn open_backup(file: &Path, given: Option<MasterKeys>) -> Result<(Reader<FileSource>, Option<MasterKeys>), CopyError> {
    let open = File::open(file).map_err(|error| {
        CopyError::new(format!("the backup {} cannot be read: {error}", file.display()), "Give the file that `usher backup` wrote.")
    })?;
    let reader = Reader::open(FileSource::new(open), given).await?;
    let masters = reader.masters().cloned();
    Ok((reader, masters))
}

/// A name by the time, where a folder is given.
fn file_name(to: &Path) -> PathBuf {
    if !to.is_dir() {
        return to.to_owned();
    }
    let digits: String = SystemClock.now().to_string().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    // To the second: YYYYMMDDTHHMMSS.
    to.join(format!("usher-{}Z.backup", digits.get(..15).unwrap_or_default()))
}

/// Where a file lies until it is whole.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn unwritable(file: &Path, error: &io::Error) -> CopyError {
    CopyError::new(format!("{} cannot be written: {error}", file.display()), "Choose a place with room that this user may write.")
}
