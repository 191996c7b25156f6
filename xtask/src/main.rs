//! Chores of this repository: `cargo run -p xtask -- tidy`, and `errors`, which writes the page of errors.

mod arrows;
mod errors;
mod files;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- tidy|errors

  tidy     dependency direction between crates, file sizes, leftovers, whether the page of errors is current
  errors   write docs/errors.md from the error table";

fn main() -> ExitCode {
    let chore = std::env::args().nth(1).unwrap_or_default();
    let complaints = match chore.as_str() {
        "tidy" => tidy(),
        "errors" => errors::write(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match complaints {
        Ok(found) if found.is_empty() => {
            println!("{chore}: nothing to mend");
            ExitCode::SUCCESS
        }
        Ok(found) => {
            found.iter().for_each(|complaint| eprintln!("{complaint}"));
            eprintln!("{chore}: {} to mend", found.len());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("{chore}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn tidy() -> Result<Vec<String>, String> {
    let mut found = arrows::check()?;
    found.extend(files::check()?);
    found.extend(errors::check()?);
    Ok(found)
}
