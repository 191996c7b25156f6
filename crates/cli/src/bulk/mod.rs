//! Many enrollments at once: files read and written, imports that go on after any end, exports that are whole or not there.
//!
//! What a line means, what differs, what is done already and what is told of progress are pure functions and small state machines;
//! `import.rs` and `export.rs` drive them with files and requests.

mod batches;
mod chunks;
mod columns;
mod compare;
mod digest;
mod errors;
mod export;
mod export_journal;
mod files;
mod format;
mod import;
mod item;
mod journal;
mod jsonl;
mod meter;
mod screen;
mod send;
mod source;
mod tally;

pub use columns::{COLUMNS, WEBHOOK_API_VERSION, reprovision, reprovision_word};
pub use export::{Export, export};
pub use format::Format;
pub use import::{Import, import};
pub use meter::{grouped, per_second, span};
