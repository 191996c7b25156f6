//! What is made of the command line's own description: completions, manual pages, the reference.

mod markdown;

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{command::Cli, ended::EXIT_CODES, examples};

#[derive(Args)]
#[command(after_help = "bash: usher completions bash > ~/.local/share/bash-completion/completions/usher\n\
    zsh:  usher completions zsh > a folder of $fpath/_usher\n\
    fish: usher completions fish > ~/.config/fish/completions/usher.fish\n\
    PowerShell: usher completions powershell >> $PROFILE")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The pages' date: when the commands' descriptions were last gone through. Fixed, so that the same usher writes the same pages.
const DATE: &str = "2026-11-24";

#[derive(Args)]
pub struct Man {
    /// Folder for the pages, made where it is not there
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
}

/// The whole command line with its examples.
fn described() -> Command {
    examples::add_to(Cli::command())
}

/// `usher completions`
pub fn completions(arguments: &Completions) -> Result<(), String> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut described(), "usher", &mut text);
    io::Write::write_all(&mut io::stdout(), &text).map_err(|why| format!("standard output: {why}"))
}

/// `usher man`: a page for each command, `usher-enrollment-create.1` and so on.
pub fn man(arguments: &Man) -> Result<(), String> {
    let folder = &arguments.to;
    let failed = |why: io::Error| format!("man: cannot write to {}: {why}\n  Give a folder that you may write to.", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    let mut command = described().disable_help_subcommand(true);
    command.build();
    let pages = write_pages(&command, "usher", folder).map_err(failed)?;
    say!("{pages} pages are in {}. Read one: man -l {}/usher.1", folder.display(), folder.display());
    Ok(())
}

fn write_pages(command: &Command, name: &str, folder: &std::path::Path) -> io::Result<u32> {
    let page = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .date(DATE)
        .manual("usher")
        .source(format!("usher {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    fs::write(folder.join(format!("{name}.1")), tidied(&text) + &exit_status())?;
    let mut written = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        written += write_pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(written)
}

/// Without line breaks beside vertical space, which mean nothing and which `mandoc -T lint` warns of.
fn tidied(page: &str) -> String {
    let lines: Vec<&str> = page.lines().collect();
    let space = |line: Option<&&str>| {
        line.is_none_or(|line| line.is_empty() || *line == ".sp" || line.starts_with(".SH") || line.starts_with(".TP"))
    };
    let beside = |at: usize| space(lines.get(at + 1)) || at.checked_sub(1).is_some_and(|before| space(lines.get(before)));
    let kept = lines.iter().enumerate().filter(|(at, line)| **line != ".br" || !beside(*at));
    // What clap calls extra is where examples stand.
    kept.fold(String::new(), |text, (_, line)| text + line + "\n").replace(".SH EXTRA\n", ".SH \"NOTES AND EXAMPLES\"\n")
}

/// The section that clap does not know of.
fn exit_status() -> String {
    let rows = EXIT_CODES.iter().map(|(code, what)| format!(".TP\n\\fB{code}\\fR\n{}\n", what.replace('-', "\\-")));
    rows.fold(".SH \"EXIT STATUS\"\n".to_owned(), |text, row| text + &row)
}

/// `usher reference`
pub fn reference() -> Result<(), String> {
    say!("{}", markdown::page(described()).trim_end());
    Ok(())
}

#[cfg(test)]
mod tests;
