//! The trace: each step of a device's conversation, with its time, for people.

use std::time::{Duration, Instant};

/// Hears each step as it happens: the time since the start, and what was done.
pub type Listener<'a> = &'a (dyn Fn(Duration, &str) + Send + Sync);

/// A running trace.
pub struct Trace<'a> {
    started: Instant,
    listener: Listener<'a>,
}

impl<'a> Trace<'a> {
    /// Starts the clock.
    pub fn start(listener: Listener<'a>) -> Self {
        Self { started: Instant::now(), listener }
    }

    /// Tells a step.
    pub fn step(&self, what: impl AsRef<str>) {
        (self.listener)(self.started.elapsed(), what.as_ref());
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
