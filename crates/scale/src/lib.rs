//! What millions of devices cost: fills a store with the records that the service makes, registers devices in it through the
//! provisioning engine, and compares a small store with a large one in one run.
//!
//! Nothing in here is part of the server. `generate` makes records with the server's own code and hands them to the store in large commits;
//! everything that is measured goes the whole way, from a device's claim to the durable registration.

mod ambient;
pub mod cluster;
pub mod compare;
pub mod device;
mod generate;
pub mod ground;
pub mod load;
mod plot;
pub mod process;
pub mod slice;
mod staging;
pub mod worker;

#[cfg(test)]
mod tests;

pub use plot::{Point, plot};

/// What can go wrong: told to whoever started the program, who has to act.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
