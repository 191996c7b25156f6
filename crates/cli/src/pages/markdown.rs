//! docs/cli.md: every command with its options and examples.

use clap::{Arg, Command};

use crate::{bulk, ended::EXIT_CODES};

const HEAD: &str = "# The command line

Made by `cargo run -p usher -- reference > docs/cli.md` from the commands' own descriptions; change it there. A test holds it to them.

";

/// The whole page.
pub fn page(command: Command) -> String {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut text = HEAD.to_owned();
    text += "| exit code | meaning |\n|---|---|\n";
    for (code, what) in EXIT_CODES {
        text += &format!("| {code} | {what} |\n");
    }
    text += "\nColumns of CSV files (`import`, `export`), after `registrationId` or `enrollmentGroupId`, in any order; those that say nothing\nmay be left out. Lines of JSONL files are enrollments as the service API writes them ([enrollment.md](enrollment.md)).\n\n";
    text += "| column | holds |\n|---|---|\n";
    for (column, what) in bulk::COLUMNS {
        text += &format!("| {column} | {what} |\n");
    }
    add(&command, "usher", &mut text);
    text
}

fn add(command: &Command, path: &str, text: &mut String) {
    let below: Vec<&Command> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
    *text += &format!("\n## {path}\n\n{}\n", command.get_about().map(ToString::to_string).unwrap_or_default());
    if below.is_empty() {
        let usage = command.clone().render_usage().to_string();
        *text += &format!("\n```\n{}\n```\n", usage.trim_start_matches("Usage: ").trim());
    }
    let said: Vec<&Arg> =
        command.get_arguments().filter(|arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version")).collect();
    if !said.is_empty() {
        *text += "\n| option | |\n|---|---|\n";
        said.iter().for_each(|arg| *text += &row(arg));
    }
    if let Some(more) = command.get_after_help() {
        *text += &format!("\n```\n{more}\n```\n");
    }
    for below in below {
        add(below, &format!("{path} {}", below.get_name()), text);
    }
}

fn row(arg: &Arg) -> String {
    let names: Vec<String> = arg.get_value_names().into_iter().flatten().map(ToString::to_string).collect();
    let values = if arg.get_action().takes_values() { names.join(" ") } else { String::new() };
    let option = match arg.get_long() {
        Some(long) => format!("--{long} {values}").trim_end().to_owned(),
        None => values,
    };
    let mut what = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> =
        arg.get_possible_values().iter().filter(|value| !value.is_hide_set()).map(|value| value.get_name().to_owned()).collect();
    if !choices.is_empty() && arg.get_action().takes_values() {
        what += &format!(" ({})", choices.join(", "));
    }
    let defaults: Vec<String> = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if !defaults.is_empty() && arg.get_action().takes_values() {
        what += &format!(" [default: {}]", defaults.join(", "));
    }
    format!("| `{}` | {} |\n", option.replace('|', "\\|"), what.replace('|', "\\|").replace('<', "&lt;"))
}
