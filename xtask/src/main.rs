//! Chores of this repository: `cargo run -p xtask -- tidy` and `cargo run -p xtask -- bench`.

mod arrows;
mod files;

use std::process::ExitCode;

fn main() -> ExitCode {
    let chore = std::env::args().nth(1).unwrap_or_default();
    let complaints = match chore.as_str() {
        "tidy" => arrows::check().and_then(|mut found| {
            files::check().map(|more| {
                found.extend(more);
                found
            })
        }),
        _ => {
            eprintln!("usage: cargo run -p xtask -- tidy\n\n  tidy   dependency direction between crates, file sizes, leftovers");
            return ExitCode::from(2);
        }
    };
    match complaints {
        Ok(found) if found.is_empty() => {
            println!("tidy: nothing to mend");
            ExitCode::SUCCESS
        }
        Ok(found) => {
            found.iter().for_each(|complaint| eprintln!("{complaint}"));
            eprintln!("tidy: {} to mend", found.len());
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("tidy: {why}");
            ExitCode::FAILURE
        }
    }
}
