//! Every command tells what it takes, its examples are understood, and the reference is current.
#![allow(clippy::unwrap_used)]

use super::*;

/// Calls `look` with every command that people see and its path.
fn walk(command: &Command, path: &str, look: &mut dyn FnMut(&str, &Command)) {
    look(path, command);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        walk(below, &format!("{path} {}", below.get_name()), look);
    }
}

fn built() -> Command {
    let mut command = described();
    command.build();
    command
}

#[test]
fn the_description_is_sound() {
    described().debug_assert();
}

#[test]
fn every_command_and_every_argument_has_a_help_text() {
    let (mut commands, mut arguments) = (0, 0);
    walk(&built(), "usher", &mut |path, command| {
        commands += 1;
        assert!(command.get_about().is_some_and(|about| !about.to_string().is_empty()), "{path} says not what it does");
        let help = command.clone().render_help().to_string();
        assert!(help.contains("Usage: "), "{path}");
        for arg in command.get_arguments() {
            arguments += 1;
            let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.len() > 2, "{path}: {} has no help text", arg.get_id());
            assert!(!text.ends_with('.'), "{path}: the help text of {} ends with a full stop, the others do not", arg.get_id());
        }
    });
    assert!(commands > 50 && arguments > 200, "{commands} commands with {arguments} arguments: the walk misses some");
}

#[test]
fn every_command_that_does_something_has_an_example_and_each_is_understood() {
    let mut without = Vec::new();
    walk(&built(), "usher", &mut |path, command| {
        let has = command.get_after_help().is_some_and(|help| help.to_string().contains("Example"));
        if command.get_subcommands().next().is_none() && !has {
            without.push(path.to_owned());
        }
    });
    assert!(without.is_empty(), "without examples: {without:?}");
    for (path, examples) in examples::EXAMPLES {
        for (_, line) in *examples {
            assert!(line.starts_with(&format!("usher {path}")), "{line} is no example of {path}");
            let parsed = Cli::command().try_get_matches_from(words(line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }
}

/// As a shell would part it, as far as examples need.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in line.chars() {
        match (letter, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(letter),
            (' ', None) => words.push(String::new()),
            (c, _) => words.last_mut().unwrap().push(c),
        }
    }
    words
}

#[test]
fn the_reference_in_docs_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
    let there = fs::read_to_string(path).unwrap_or_default();
    assert!(there == markdown::page(described()), "docs/cli.md is stale: cargo run -p usher -- reference > docs/cli.md");
}

#[test]
fn every_shell_gets_completions_with_every_command() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut described(), "usher", &mut text);
        let text = String::from_utf8(text).unwrap();
        for word in ["enrollment", "generate-code", "completions", "symmetric-key"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
}
