//! How a command ends other than well, and the exit codes, which scripts rely on.

use std::process::ExitCode;

use usher_device::Failure;

/// The exit codes, for the documentation.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done"),
    (1, "refused or failed; standard error tells what happened and what to do next"),
    (2, "the command line cannot be understood; nothing was done"),
    (PARTLY, "an import has ended and some of its lines were not taken; the file of errors tells which and why"),
];
/// Work that is done but for some of its parts.
pub const PARTLY: u8 = 3;

/// Why a command did not end well.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// For people.
    pub why: String,
}

/// Tells why, if there is a why, and gives the exit code.
pub fn conclude(outcome: Result<(), Ended>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(ended) => {
            eprintln!("usher: {}", ended.why);
            ExitCode::from(ended.code)
        }
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self { code: 1, why: failure.to_string() }
    }
}
