//! Showing things to people: tables and failures.

use std::process::ExitCode;

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

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let text = super::table(&["a", "bb"], &[vec!["xxx".into(), "y".into()], vec!["z".into(), "é".into()]]);
        assert_eq!(text, "a    bb\n---  --\nxxx  y\nz    é");
    }
}
