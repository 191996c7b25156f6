//! How far an export is: a file beside the half one, so that `--resume` goes on.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

/// A place between two pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportMark {
    /// What is exported and how: host, collection, form, query, with keys or not.
    pub job: String,
    /// The next page's token.
    pub continuation: String,
    /// Bytes of the half file before it.
    pub bytes: u64,
    /// Enrollments before it.
    pub items: u64,
}

impl ExportMark {
    /// Writes it over the one before: beside it first, then renamed.
    ///
    /// # Errors
    /// I/O.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("mark.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_data()?;
        fs::rename(beside, path)
    }

    /// The mark of this job, where there is one.
    ///
    /// # Errors
    /// Why it cannot be gone on with, for people.
    pub fn read(path: &Path, job: &str) -> Result<Option<Self>, String> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(format!("cannot read {}: {why}", path.display())),
        };
        let mark: Self = serde_json::from_slice(&text).map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
        if mark.job == job { Ok(Some(mark)) } else { Err(format!("{} tells of another export", path.display())) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_mark_is_of_its_job_alone() {
        let path = std::env::temp_dir().join(format!("usher-export-{}.mark", std::process::id()));
        assert_eq!(ExportMark::read(&path, "a"), Ok(None));
        let mark = ExportMark { job: "a".into(), continuation: "t".into(), bytes: 7, items: 1 };
        mark.write(&path).unwrap();
        assert_eq!(ExportMark::read(&path, "a"), Ok(Some(mark)));
        assert!(ExportMark::read(&path, "b").is_err());
        fs::remove_file(path).unwrap();
    }
}
