//! `usher` alone: how to begin.

use std::process::ExitCode;

const TEXT: &str = "usher shows each device to its seat: a self-hosted Device Provisioning Service, wire-compatible with Azure IoT Hub DPS.

To begin, in one terminal:

  usher dev                                          a complete service in this folder; says what to copy

and in another, in the same folder:

  usher enrollment create press-7 --symmetric-key generate --keys
  usher device provision --registration-id press-7 --key PRIMARY_KEY --twin
  usher registration show press-7

To see everything work first:  usher demo
In production:                 usher serve --config usher.toml
Why a device was refused:      usher explain REGISTRATION_ID
All commands:                  usher --help";

/// Tells it.
pub fn show() -> ExitCode {
    say!("{TEXT}");
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_lines_to_copy_are_understood() {
        for line in
            super::TEXT.lines().filter_map(|line| line.find("usher ").map(|at| &line[at..])).filter(|line| !line.starts_with("usher shows"))
        {
            let said = line.split("  ").next().unwrap_or_default();
            let parsed = crate::command::Cli::command().try_get_matches_from(said.split(' '));
            let fine = match &parsed {
                Ok(_) => true,
                Err(why) => why.kind() == clap::error::ErrorKind::DisplayHelp,
            };
            assert!(fine, "{said}: {:?}", parsed.err().map(|why| why.to_string()));
        }
    }
}
