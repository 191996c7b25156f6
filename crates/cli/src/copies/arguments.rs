//! What can be said of copies.

use std::path::PathBuf;

use clap::Args;
use usher_domain::Secret;
use usher_server::copies::Place;

/// Which store is read.
#[derive(Args)]
#[group(skip)]
pub struct StoreArguments {
    /// State folder of `usher dev`
    #[arg(long, value_name = "DIR", default_value = ".usher", conflicts_with_all = ["config", "store"])]
    pub state: PathBuf,
    /// Configuration of `usher serve`
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub config: Option<PathBuf>,
    /// Address, as in a configuration: embedded:FOLDER or postgres://…; its password may be in PGPASSWORD
    #[arg(long, value_name = "ADDRESS")]
    pub store: Option<String>,
    /// File with the master key [default: that of the state folder or the configuration]
    #[arg(long, value_name = "FILE")]
    pub master_key: Option<PathBuf>,
}

impl StoreArguments {
    /// Where that is.
    pub fn place(&self) -> Place {
        match (&self.config, &self.store) {
            (Some(file), _) => Place::Config(file.clone()),
            (None, Some(address)) => Place::Address(Secret::new(address.as_str())),
            (None, None) => Place::State(self.state.clone()),
        }
    }
}

#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    pub from: StoreArguments,
    /// New file, or a folder to make one in, named by the time
    #[arg(long, value_name = "FILE|DIR")]
    pub to: PathBuf,
    /// Put the master key into the file, readable by whoever can read the file
    #[arg(long)]
    pub with_master_key: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Restore {
    /// The backup
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// Where to: a new state folder, a configuration (FILE.toml), embedded:FOLDER or postgres://… without records
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// File with the master key [default: that at the place, or inside the backup]
    #[arg(long, value_name = "FILE")]
    pub master_key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
#[command(after_help = "No server may run on either. A copy that was interrupted goes on when the command is run again.")]
pub struct Migrate {
    /// The store to copy: a state folder, a configuration (FILE.toml), embedded:FOLDER or postgres://…
    #[arg(long, value_name = "PLACE")]
    pub from: String,
    /// Where to, said in the same ways; without records
    #[arg(long, value_name = "PLACE")]
    pub to: String,
    /// File with the master key, to prove that it opens every record [default: that of either place]
    #[arg(long, value_name = "FILE")]
    pub master_key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub store: StoreArguments,
    /// Check a backup instead of a store; --config says then only where its master keys are
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub from: Option<PathBuf>,
    /// Compare with this backup; exits 1 where they differ
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
