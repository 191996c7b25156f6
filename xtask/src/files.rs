//! What compilers do not ask: file sizes, module docs, leftovers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Longest Rust file, in lines. One concept a file rarely needs half of it.
const LINES_MAX: usize = 600;

/// Complaints about the Rust files under `crates`, `xtask` and `fuzz`.
pub fn check() -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    for root in ["crates", "xtask", "fuzz"] {
        files.extend(of(root)?);
    }
    let mut complaints = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|why| format!("cannot read {}: {why}", file.display()))?;
        complaints.extend(judge(&text).map(|what| format!("{}: {what}", file.display())));
    }
    Ok(complaints)
}

/// The Rust files under a folder.
pub fn of(root: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    collect(Path::new(root), &mut files).map_err(|why| format!("cannot read {root}: {why}"))?;
    Ok(files)
}

fn judge(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().count();
    let long = (lines > LINES_MAX).then(|| format!("{lines} lines; split it by concept (limit {LINES_MAX})"));
    let bare =
        (!text.trim_start().starts_with("//!") && !text.starts_with("#![no_main]")).then(|| "no //! line that says what it is for".into());
    // Written apart, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let left = marks.into_iter().filter(|mark| text.contains(mark)).map(|mark| format!("{mark} left in the code"));
    long.into_iter().chain(bare).chain(left.collect::<Vec<_>>())
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "target" | "corpus" | "artifacts") {
                collect(&path, into)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
