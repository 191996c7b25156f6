//! Showing things to people: tables and failures.

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};

/// `println!` for what may be piped into something that reads a part of it, such as `head`: that is an end, not a failure.
macro_rules! say {
    ($($words:tt)*) => { $crate::show::say(&format!($($words)*)) };
}

/// Prints a line on standard output. Ends the process where nobody reads it any more.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(why) = writeln!(out, "{text}") {
        if why.kind() != ErrorKind::BrokenPipe {
            eprintln!("usher: standard output: {why}");
        }
        std::process::exit(i32::from(why.kind() != ErrorKind::BrokenPipe));
    }
}

/// Prints why a command failed and gives the exit code.
pub fn failure(why: &str) -> ExitCode {
    eprintln!("usher: {why}");
    ExitCode::FAILURE
}

/// A table with columns as wide as their widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(n, name)| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(name.len()))
        .collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec()), widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ")];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A certificate, given as base64 of DER, in PEM.
pub fn certificate_pem(der: &str) -> String {
    let lines: Vec<&str> = der.as_bytes().chunks(PEM_LINE_CHARS).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Characters in a line of PEM (RFC 7468 section 2).
const PEM_LINE_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let text = super::table(&["a", "bb"], &[vec!["xxx".into(), "y".into()], vec!["z".into(), "é".into()]]);
        assert_eq!(text, "a    bb\n---  --\nxxx  y\nz    é");
    }
}
