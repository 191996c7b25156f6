//! Progress on standard error: a bar on a terminal, else a line now and then.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use usher_server::copies::{Progress, Stage};

/// Between two looks of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);
/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The bar itself, in characters.
const BAR_CHARS: u64 = 24;

/// What was shown last.
pub struct Shown {
    terminal: bool,
    stage: Option<(Stage, Instant)>,
    last: Instant,
    /// Whether the cursor stands behind a bar.
    open: bool,
}

impl Shown {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), stage: None, last: Instant::now(), open: false }
    }

    /// Goes to a new line, if need be.
    pub fn close(&mut self) {
        if self.open {
            eprintln!();
        }
        (self.open, self.stage) = (false, None);
    }
}

impl Progress for Shown {
    fn at(&mut self, stage: Stage, entries: u64, bytes: u64, of: Option<u64>) {
        let now = Instant::now();
        if self.stage.is_none_or(|(before, _)| before != stage) {
            self.close();
            self.stage = Some((stage, now));
            self.last = now;
        }
        let since = self.stage.map_or(Duration::ZERO, |(_, began)| began.elapsed());
        let every = if self.terminal { BAR_EVERY } else { LINE_EVERY };
        let done = of == Some(entries);
        if now.duration_since(self.last) < every && !(self.terminal && done) {
            return;
        }
        self.last = now;
        let text = line(stage, entries, bytes, of, since);
        // Whether somebody reads it is not the work's concern.
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r{text}\x1b[K").and_then(|()| out.flush()) } else { writeln!(out, "{text}") };
        self.open = self.terminal;
    }
}

fn line(stage: Stage, entries: u64, bytes: u64, of: Option<u64>, since: Duration) -> String {
    let stage = match stage {
        Stage::Reading => "reading",
        Stage::Copying => "copying",
        Stage::Comparing => "comparing",
    };
    let (rate, bar) = (entries as f64 / since.as_secs_f64().max(0.001), bar(entries, of));
    format!("{stage:9} {bar}{entries} records, {:.1} MB, {rate:.0} records/s", megabytes(bytes))
}

fn bar(entries: u64, of: Option<u64>) -> String {
    let Some(of) = of.filter(|of| *of > 0) else { return String::new() };
    let (full, percent) = (entries.min(of) * BAR_CHARS / of, entries.min(of) * 100 / of);
    let (full, empty) = ("█".repeat(full as usize), "░".repeat((BAR_CHARS - full) as usize));
    format!("{full}{empty} {percent:3} %  ")
}

/// In millions of bytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_much_how_fast_and_how_far() {
        let text = line(Stage::Copying, 500, 2_500_000, Some(1000), Duration::from_secs(2));
        assert_eq!(text, format!("copying   {}{}  50 %  500 records, 2.5 MB, 250 records/s", "█".repeat(12), "░".repeat(12)));
        let text = line(Stage::Reading, 500, 0, None, Duration::ZERO);
        assert!(text.starts_with("reading   500 records, 0.0 MB"), "{text}");
        assert!(line(Stage::Reading, 5, 0, Some(3), Duration::ZERO).contains("100 %"), "more than was expected");
    }
}
