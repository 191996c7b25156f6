//! The files of an import: its input, and what lies beside it.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use usher_device::Failure;

use super::{chunks::Input, digest, import::Import, item::Place, journal::Job};
use crate::service_api::Kind;

/// Files beside an input.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A failure of the disk.
pub fn disk(what: &str, path: &Path, why: &io::Error) -> Failure {
    Failure::new("import", format!("cannot {what} {}: {why}", path.display()), "See that the path is right and the disk has room.")
}

/// Where everything is read from and written to.
pub struct Files {
    /// What is read.
    pub input: PathBuf,
    /// How far it is; none for standard input.
    pub journal: Option<PathBuf>,
    /// Lines that were not taken.
    pub errors: PathBuf,
}

impl Files {
    /// Of an import.
    pub fn of(import: &Import) -> Self {
        let from_stdin = import.path == Path::new("-");
        let errors = import
            .errors
            .clone()
            .unwrap_or_else(|| if from_stdin { "import.errors.jsonl".into() } else { beside(&import.path, ".errors.jsonl") });
        Self { journal: (!from_stdin).then(|| beside(&import.path, ".journal")), input: import.path.clone(), errors }
    }

    /// The input from its start.
    pub fn open(&self) -> Result<Input, Failure> {
        if self.journal.is_none() {
            return Ok(Box::new(io::stdin()));
        }
        File::open(&self.input).map(|file| Box::new(file) as Input).map_err(|why| disk("read", &self.input, &why))
    }

    /// The input from a place on.
    pub fn open_at(&self, place: Place) -> Result<Input, Failure> {
        let open = || {
            let mut file = File::open(&self.input)?;
            file.seek(SeekFrom::Start(place.offset))?;
            Ok(Box::new(file) as Input)
        };
        open().map_err(|why| disk("read", &self.input, &why))
    }

    /// The job, where the input is a file that can be gone on with.
    pub fn job(&self, service: &str, kind: Kind) -> Result<Option<Job>, Failure> {
        if self.journal.is_none() {
            return Ok(None);
        }
        let read = || {
            let file = File::open(&self.input)?;
            let bytes = file.metadata()?.len();
            Ok(Job::new(bytes, digest::of_head(file)?, service, kind.collection()))
        };
        read().map(Some).map_err(|why| disk("read", &self.input, &why))
    }
}
