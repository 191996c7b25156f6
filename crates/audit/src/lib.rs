//! The audit log: who asked for which change, of which service, and what came of it.
//!
//! An entry is durable before the change is tried, and its outcome before the answer goes out, so that no change is without its entry.
//! Entries are linked: each carries the digest of the one before. Records are sealed, so nobody without the master key can write one that
//! opens; and whoever has the key cannot change, insert or take away one without breaking the chain behind it. What a chain cannot show by
//! itself is that its end was cut off: for that the newest digest is told to the log and to whoever asks, to be kept elsewhere.

mod chain;
mod entry;
mod log;

pub use chain::{Break, Link};
pub use entry::{Actor, Entry, Phase};
pub use log::{AuditLog, PAGE_MAX, Unwritten, Verified};
