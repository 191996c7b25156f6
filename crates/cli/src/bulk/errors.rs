//! Lines that were not taken, in a file of their own.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LineError {
    /// Its number, from 1.
    pub line: u64,
    /// Its ID, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The service's error code, where the service refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u64>,
    /// Why.
    pub error: String,
}

impl LineError {
    /// Of a line that cannot be read.
    pub fn of_file(line: u64, error: String) -> Self {
        Self { line, id: None, error_code: None, error }
    }
}

/// The file of errors: made with the first one, in the order of lines. What a run that was ended by force had written beyond its
/// journal is cut off, since those lines are tried again.
pub struct ErrorsFile {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl ErrorsFile {
    /// With the first `bytes` of what is there; the rest is cut off. With 0 an older file is removed.
    ///
    /// # Errors
    /// I/O.
    pub fn open(path: PathBuf, bytes: u64) -> io::Result<Self> {
        if bytes == 0 {
            match std::fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => return Ok(Self { path, file: None, bytes }),
            }
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        file.set_len(bytes)?;
        Ok(Self { path, file: Some(file), bytes })
    }

    /// Adds lines.
    ///
    /// # Errors
    /// I/O.
    pub fn add(&mut self, errors: &[LineError]) -> io::Result<()> {
        let mut text = Vec::new();
        for error in errors {
            serde_json::to_writer(&mut text, error)?;
            text.push(b'\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            // Not for everybody's eyes: the service's sentences may quote what a line says.
            None => self.file.insert(OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?),
        };
        file.write_all(&text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes it durable and tells its length.
    ///
    /// # Errors
    /// I/O.
    pub fn sync(&self) -> io::Result<u64> {
        if let Some(file) = &self.file {
            file.sync_data()?;
        }
        Ok(self.bytes)
    }
}
