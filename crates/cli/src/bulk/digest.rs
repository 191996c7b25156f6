//! By what an input is known again.

use std::io::{self, Read};

use aws_lc_rs::digest;

/// Bytes from the start that are looked at; the rest is known by its length alone, so that a large file is not read twice.
const HEAD_BYTES: u64 = 64 * 1024;

/// SHA-256 of the first bytes, in hex.
///
/// # Errors
/// I/O.
pub fn of_head(input: impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    input.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(digest::digest(&digest::SHA256, &head).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}
