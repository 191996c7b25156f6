//! How a running server gives its backup: by a socket beside the files of its embedded store, which no other process can open meanwhile.
//! Who may use it is who may read those files. Whoever connects is sent the backup, without the master key, and that is all.

use std::{
    fs::{self, File},
    io,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt as _, BufWriter},
    net::{UnixListener, UnixStream},
    sync::watch,
    time::timeout,
};
use tracing::{info, warn};
use usher_domain::clock::Clock;
use usher_seal::MasterKeys;
use usher_store::Store;
use usher_transfer::{Header, Silent};

use crate::copies::place::header;

const NAME: &str = "backup.sock";
/// Longest path of a socket, in bytes; longer ones go by an open folder.
const PATH_BYTES_MAX: usize = 100;
/// Longest that a backup may take. What the engine keeps for it, it cannot clean up meanwhile.
const BACKUP_MAX: Duration = Duration::from_secs(6 * 3600);

/// The socket and what is given through it.
pub struct BackupDoor {
    listener: UnixListener,
    path: PathBuf,
    store: Arc<dyn Store>,
    masters: MasterKeys,
    clock: Arc<dyn Clock>,
}

impl BackupDoor {
    /// Opens it in the folder of a store that this process has open; `None`, with a warning, where that cannot be.
    pub fn open(folder: &Path, store: Arc<dyn Store>, masters: MasterKeys, clock: Arc<dyn Clock>) -> Option<Self> {
        let path = folder.join(NAME);
        // One that is there is left by a process that has died: the store's lock is this one's.
        let _ = fs::remove_file(&path);
        let bound = by_short_path(folder, |short| {
            let listener = UnixListener::bind(short)?;
            fs::set_permissions(short, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Some(Self { listener, path, store, masters, clock }),
            Err(error) => {
                warn!(check = "backup", detail = %error, "no backup can be taken while this server runs: {} cannot be made", path.display());
                None
            }
        }
    }

    /// Gives backups, one after the other, until `stop` turns true.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            tokio::select! {
                given = timeout(BACKUP_MAX, self.give(stream)) => match given {
                    Ok(Ok(entries)) => info!(entries, "a backup was taken"),
                    Ok(Err(why)) => warn!(check = "backup", detail = %why, "a backup was not taken to its end"),
                    Err(_) => warn!(check = "backup", "a backup took too long and was cut off"),
                },
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        let _ = fs::remove_file(&self.path);
    }

    async fn give(&self, stream: UnixStream) -> Result<u64, String> {
        let mut snapshot = self.store.snapshot().await.map_err(|error| error.to_string())?;
        let header: Header = header("embedded", self.clock.as_ref());
        let mut silent = Silent;
        let written = usher_transfer::write(snapshot.as_mut(), &header, &self.masters, (false, false), BufWriter::new(stream), &mut silent);
        let (mut stream, summary) = written.await.map_err(|error| error.to_string())?;
        stream.shutdown().await.map_err(|error| error.to_string())?;
        Ok(summary.records + summary.counters)
    }
}

/// Asks the process that has the store in `folder` open.
pub async fn connect(folder: &Path) -> io::Result<UnixStream> {
    let stream = by_short_path(folder, |short| std::os::unix::net::UnixStream::connect(short))?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// A socket's path may be only so long, a folder's longer.
fn by_short_path<T>(folder: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let path = folder.join(NAME);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return work(&path);
    }
    let open = File::open(folder)?;
    work(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd())))
}
