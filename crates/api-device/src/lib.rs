//! The device endpoint's doors: each turns a transport's bytes into the same claim, and the same outcome back into its framing.

pub mod ascii_json;
pub mod https;
pub mod mqtt;
pub mod outcome;
