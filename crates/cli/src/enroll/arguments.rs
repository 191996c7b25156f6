//! The commands for enrollments; the same for groups, with other settings.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{reach::ServiceReach, settings::Settings};
use crate::bulk::Format;

/// Requests under way at once where nothing is said: as many as there are connections kept (`usher_outbound`). With more, each further one
/// makes a connection anew; by measurement that is slower (docs/measurements.md).
const IN_FLIGHT: usize = 16;

#[derive(Subcommand)]
pub enum RecordCommand<S: Settings> {
    /// List them, or those that a query chooses
    List(List),
    /// Show one, with where its device is
    Show {
        /// Its ID
        id: String,
        /// Show symmetric keys too
        #[arg(long)]
        keys: bool,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Make one; refused where the ID is taken
    Create(Box<Change<S>>),
    /// Change what is said and leave the rest as it is
    Update(Box<Change<S>>),
    /// Delete one; devices that it admitted stay on their hubs
    Delete {
        /// Its ID
        id: String,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Admit devices again
    Enable {
        /// Its ID
        id: String,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Admit no devices for now
    Disable {
        /// Its ID
        id: String,
        /// Only if it still has this ETag
        #[arg(long)]
        etag: Option<String>,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Show symmetric keys
    Keys {
        /// Its ID
        id: String,
        #[command(flatten)]
        reach: ServiceReach,
    },
    /// Make many from a CSV or JSONL file; goes on where it was ended
    Import(Import),
    /// Write all to a CSV or JSONL file
    Export(Export),
}

#[derive(Args)]
pub struct List {
    /// Which: SELECT * FROM … WHERE member = 'value' [AND|OR …]
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
    /// The most to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub top: u32,
    #[command(flatten)]
    pub reach: ServiceReach,
}

#[derive(Args)]
pub struct Change<S: Settings> {
    /// Its ID: 1 to 128 letters, digits and - . _ :
    pub id: String,
    #[command(flatten)]
    pub settings: S,
    /// Only if it still has this ETag
    #[arg(long)]
    pub etag: Option<String>,
    /// Show symmetric keys too
    #[arg(long)]
    pub keys: bool,
    #[command(flatten)]
    pub reach: ServiceReach,
}

#[derive(Args)]
pub struct Import {
    /// The file, .csv or .jsonl, or - for standard input
    pub file: PathBuf,
    /// Its form [default: as its name ends]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Replace those that are there and differ; without it they are refused
    #[arg(long)]
    pub update: bool,
    /// Only read the file and tell what is wrong with it; nothing is sent
    #[arg(long)]
    pub check: bool,
    /// Begin anew where an earlier import of this file was ended
    #[arg(long)]
    pub restart: bool,
    /// Requests under way at once, of ten lines each
    #[arg(long, value_name = "N", default_value_t = IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    /// File for lines that are not taken [default: FILE.errors.jsonl]
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
    /// Tell no progress
    #[arg(long)]
    pub quiet: bool,
    #[command(flatten)]
    pub reach: ServiceReach,
}

#[derive(Args)]
pub struct Export {
    /// The file, .csv or .jsonl, or - for standard output
    pub file: PathBuf,
    /// Its form [default: as its name ends]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// With symmetric keys: who has the file can be any of the devices
    #[arg(long)]
    pub keys: bool,
    /// Which: SELECT * FROM … WHERE member = 'value' [AND|OR …]
    #[arg(long, value_name = "QUERY")]
    pub query: Option<String>,
    /// Go on with an export to this file that was ended
    #[arg(long)]
    pub resume: bool,
    /// Requests for keys under way at once
    #[arg(long, value_name = "N", default_value_t = IN_FLIGHT, value_parser = in_flight)]
    pub in_flight: usize,
    /// Tell no progress
    #[arg(long)]
    pub quiet: bool,
    #[command(flatten)]
    pub reach: ServiceReach,
}

fn in_flight(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(|| "1 to 256".into())
}
