//! Copies: `usher backup`, `usher restore`, `usher migrate`, `usher check`.

mod arguments;
mod progress;

use std::time::Instant;

use serde_json::{Value, json};
use usher_server::copies::{self, Copied, CopyError, Filled, Header, Place, Subject, Summary};

pub use arguments::{Backup, Check, Migrate, Restore};
use progress::{Shown, megabytes};

/// Takes a backup.
pub async fn run_backup(arguments: Backup) -> Result<(), String> {
    let (from, started) = (arguments.from.place(), Instant::now());
    let key = arguments.from.master_key.as_deref();
    let mut shown = Shown::new();
    let taken = copies::backup(&from, key, &arguments.to, arguments.with_master_key, &mut shown).await;
    let taken = shown.end(taken)?;
    let file = taken.file.display().to_string();
    let mut told = described(&taken.summary, Some(&taken.header), started);
    told["file"] = json!(file);
    told["masterKeyInside"] = json!(arguments.with_master_key);
    let key = match arguments.with_master_key {
        true => "The master key is in it: whoever has this file can read everything. Keep it as you would the key.",
        false => "The master key is not in it, and a restore needs it: keep both, apart from each other.",
    };
    show(arguments.json, &told, &format!("{file}: {}\n{key}", sentence(&taken.summary)));
    Ok(())
}

/// Restores a backup.
pub async fn run_restore(arguments: Restore) -> Result<(), String> {
    let (to, started) = (Place::parse(&arguments.to), Instant::now());
    let mut shown = Shown::new();
    let copied = copies::restore(&arguments.from, &to, arguments.master_key.as_deref(), &mut shown).await;
    tell(arguments.json, &shown.end(copied)?, "restored", started);
    Ok(())
}

/// Moves to another store.
pub async fn run_migrate(arguments: Migrate) -> Result<(), String> {
    let (from, to, started) = (Place::parse(&arguments.from), Place::parse(&arguments.to), Instant::now());
    let mut shown = Shown::new();
    let copied = copies::migrate(&from, &to, arguments.master_key.as_deref(), &mut shown).await;
    tell(arguments.json, &shown.end(copied)?, "copied", started);
    Ok(())
}

/// Checks a store or a backup, alone or against another.
pub async fn run_check(arguments: Check) -> Result<(), String> {
    let (key, started, mut shown) = (arguments.store.master_key.as_deref(), Instant::now(), Shown::new());
    let subject = match &arguments.from {
        Some(file) => Subject::Backup(file.clone(), arguments.store.config.clone().map(Place::Config)),
        None => Subject::Store(arguments.store.place()),
    };
    let checked = copies::check(&subject, key, &mut shown).await;
    let checked = shown.end(checked)?;
    let mut told = described(&checked.summary, checked.header.as_ref(), started);
    told["opened"] = json!(checked.opened);
    let seals = match checked.opened {
        true => "Every record opens with the master key.",
        false => "Checksums are right; without the master key (--master-key FILE) no record was opened.",
    };
    let mut text = format!("{}\n{seals}", sentence(&checked.summary));
    if let Some(file) = &arguments.against {
        let other = copies::check(&Subject::Backup(file.clone(), None), key, &mut shown).await;
        let equal = shown.end(other)?.summary == checked.summary;
        told["equal"] = json!(equal);
        text += if equal { "\nBoth hold the same." } else { "" };
        if !equal {
            show(arguments.json, &told, &text);
            return Err(format!("{} holds something else\n  A server that has run since then has written.", file.display()));
        }
    }
    show(arguments.json, &told, &text);
    Ok(())
}

fn tell(as_json: bool, copied: &Copied, done: &str, started: Instant) {
    let mut told = described(&copied.summary, None, started);
    told["opened"] = json!(copied.opened);
    told["resumed"] = json!(copied.filled == Filled::Resumed);
    told["written"] = json!(copied.filled != Filled::Already);
    let how = match copied.filled {
        Filled::Wholly => format!("{done} and compared"),
        Filled::Resumed => format!("an earlier attempt was brought to its end, {done} and compared"),
        Filled::Already => "the target held the same already; nothing was written".to_owned(),
    };
    show(as_json, &told, &format!("{how}: {}", sentence(&copied.summary)));
}

fn described(summary: &Summary, header: Option<&Header>, started: Instant) -> Value {
    let mut told = json!({
        "records": summary.records, "counters": summary.counters, "bytes": summary.bytes, "digest": summary.digest,
        "seconds": (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    });
    if let Some(header) = header {
        told["created"] = json!(header.created);
        told["usher"] = json!(header.usher);
        told["store"] = json!(header.store);
    }
    told
}

fn sentence(summary: &Summary) -> String {
    let Summary { records, counters, bytes, digest } = summary;
    format!("{records} records, {counters} counters, {:.1} MB, digest {digest}", megabytes(*bytes))
}

fn show(as_json: bool, told: &Value, text: &str) {
    if as_json { say!("{told}") } else { say!("{text}") }
}

impl Shown {
    /// Leaves the line of the bar, whatever came of the work.
    fn end<T>(&mut self, outcome: Result<T, CopyError>) -> Result<T, String> {
        self.close();
        outcome.map_err(|error| error.to_string())
    }
}
