//! Rate limits as pure state machines: token buckets that are asked with the time as argument.
//!
//! Nothing here waits, reads a clock or knows whom it counts. Times are wall-clock times, which may jump: no bucket ever owes more than
//! its own period, so a clock that is put back costs a client that period at most. State is in memory and counts for one process.

mod bucket;
mod keyed;
mod origin;
mod spread;

pub use bucket::{Bucket, Wait};
pub use keyed::{KEYS_MAX, Keyed};
pub use origin::origin;
pub use spread::{SPREAD_MAX_S, Spread};
