//! Telling progress on standard error: a line that moves on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use super::meter::{self, Progress};

/// Between two looks of the moving line.
const MOVING: Duration = Duration::from_millis(200);
/// Between two plain lines, which logs keep.
const PLAIN: Duration = Duration::from_secs(5);

/// Where progress is told.
pub struct Screen {
    quiet: bool,
    terminal: bool,
    told: Instant,
    began: Instant,
    drawn: bool,
}

impl Screen {
    /// Standard error; nothing where `quiet`.
    pub fn new(quiet: bool) -> Self {
        let now = Instant::now();
        Self { quiet, terminal: std::io::stderr().is_terminal(), told: now, began: now, drawn: false }
    }

    /// Since it was made.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Tells of progress, unless that was done a moment ago. A screen that cannot be written is no reason to end the work.
    pub fn tell(&mut self, progress: &Progress) {
        let every = if self.terminal { MOVING } else { PLAIN };
        if self.quiet || self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal {
            self.drawn = true;
            write!(out, "\r\x1b[K{}", meter::line(progress, true))
        } else {
            writeln!(out, "{}", meter::line(progress, false))
        };
        let _ = out.flush();
    }

    /// Leaves an empty line for what comes next.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
