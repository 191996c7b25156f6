//! The log on standard error.

use tracing_subscriber::filter::LevelFilter;

use crate::command::LogFormat;

/// Starts the log of a server.
pub fn start(format: LogFormat) {
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::INFO).with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Off => {}
    }
}

/// Starts the log of a command that shows its outcome itself: nothing, unless it is wanted.
pub fn start_quiet(verbose: bool) {
    start(if verbose { LogFormat::Text } else { LogFormat::Off });
}
