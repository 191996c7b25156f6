//! Copies of a whole store, over the store port: backup files, filling an empty store from one or from another store, and the digest
//! that says whether two of them hold the same.
//!
//! Records are copied as they are stored, sealed; nothing here reads what they say. With the master key each is opened once, to prove
//! that the key fits. Memory is bounded: everything passes in steps of a few megabytes.

mod backup;
mod entry;
mod error;
mod fill;
mod marker;
mod tally;
mod walk;

pub use backup::{Header, Reader, write};
pub use error::CopyError;
pub use fill::{Filled, fill};
pub use marker::is_unfinished;
pub use tally::Summary;
pub use walk::{Progress, Silent, Stage, Walk};
