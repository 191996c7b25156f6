//! `usher-scale`: what millions of devices cost, measured. docs/measurements.md has the figures and the commands.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand, ValueEnum};
use usher_scale::{
    Outcome,
    cluster::Cluster,
    compare::{Comparing, Comparison, compare},
    ground::{Ground, Place},
    load::{Loading, Size, load},
    plot,
    process::Workers,
    worker,
};

#[derive(Parser)]
#[command(about = "Fills stores with devices and measures what a registration costs in them")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    /// The embedded store.
    Embedded,
    /// A PostgreSQL server of its own, with its data in the same folder.
    Postgres,
}

#[derive(Subcommand)]
enum Command {
    /// Fill a store with devices; go on where it was interrupted.
    Load {
        /// The folder, made where there is none.
        #[arg(long)]
        state: PathBuf,
        /// What kind of store it has.
        #[arg(long, value_enum, default_value = "embedded")]
        store: StoreKind,
        /// Devices that are enrolled and registered.
        #[arg(long)]
        devices: u64,
        /// Devices on top that are only enrolled, for new registrations.
        #[arg(long, default_value_t = 4_000)]
        fresh: u64,
        /// Stop where less is left on the disk, in GB.
        #[arg(long, default_value_t = 12)]
        keep_free: u64,
    },
    /// Compare a small store with a large one.
    Compare {
        /// The folder of the small one.
        #[arg(long)]
        small: PathBuf,
        /// The folder of the large one.
        #[arg(long)]
        large: PathBuf,
        /// Pairs of slices.
        #[arg(long, default_value_t = 9)]
        rounds: usize,
        /// New registrations in a slice; as many again of devices that were registered.
        #[arg(long, default_value_t = 2_000)]
        slice: usize,
        /// Pages to time in each store.
        #[arg(long, default_value_t = 100)]
        pages: usize,
        /// A file that the result is added to, a line of JSON.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Draw results.
    Plot {
        /// The file with the results.
        #[arg(long)]
        from: PathBuf,
        /// The drawing, SVG.
        #[arg(long)]
        to: PathBuf,
    },
    /// Do what is read from standard input; the other commands start this.
    #[command(hide = true)]
    Work {
        #[arg(long)]
        state: PathBuf,
        #[arg(long)]
        database: Option<String>,
        #[arg(long)]
        postmaster: Option<u32>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("usher-scale: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match command {
        Command::Load { state, store, devices, fresh, keep_free } => {
            fs::create_dir_all(&state)?;
            let cluster = if store == StoreKind::Postgres { Some(Cluster::start(&state)?) } else { None };
            let place = Place { folder: state.clone(), database: cluster.as_ref().map(Cluster::address) };
            let target = Size { registered: devices, fresh };
            let loading = Loading { folder: state, target, keep_free: keep_free * 1_000_000_000, progress: true };
            runtime.block_on(async { load(&Arc::new(Ground::open(&place).await?), &loading).await })
        }
        Command::Compare { small, large, rounds, slice, pages, to } => {
            let comparison = compare(&Comparing { small, large, rounds, slice, pages })?;
            println!("{}", comparison.told());
            if let Some(to) = to {
                let mut file = File::options().create(true).append(true).open(to)?;
                writeln!(file, "{}", serde_json::to_string(&comparison)?)?;
            }
            Ok(())
        }
        Command::Plot { from, to } => {
            let text = fs::read_to_string(from)?;
            let results: Vec<Comparison> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            Ok(fs::write(to, plot(&results))?)
        }
        Command::Work { state, database, postmaster } => {
            let workers = Workers { postmaster };
            runtime.block_on(worker::work(Place { folder: state, database }, workers))
        }
    }
}
