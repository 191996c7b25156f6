//! `usher`: the command line. It reads arguments, starts what they ask for, and speaks to people; every rule is elsewhere.

mod command;
mod demo;
mod dev;
mod device;
mod logging;
mod oidc;
mod operate;
mod serve;
mod show;

use std::process::ExitCode;

use clap::Parser as _;
use command::{Cli, Command, DeviceCommand};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return show::failure(&format!("the runtime cannot start: {why}")),
    };
    let outcome = match cli.command {
        Command::Dev(arguments) => {
            logging::start(arguments.log);
            runtime.block_on(dev::run(arguments))
        }
        Command::Serve(arguments) => {
            logging::start(arguments.log);
            runtime.block_on(serve::run(arguments))
        }
        Command::Demo(arguments) => {
            logging::start_quiet(arguments.verbose);
            runtime.block_on(demo::run(arguments))
        }
        Command::Device(DeviceCommand::Provision(arguments)) => {
            logging::start_quiet(false);
            runtime.block_on(device::run(arguments))
        }
        Command::Device(DeviceCommand::Tpm(arguments)) => device::show_tpm(arguments),
        Command::Service(command) => runtime.block_on(operate::run_service(command)),
        Command::Hub(command) => runtime.block_on(operate::run_hub(command)),
        Command::Keys(command) => runtime.block_on(operate::run_keys(command)),
        Command::Explain(arguments) => runtime.block_on(operate::run_explain(arguments)),
        Command::Usage(arguments) => runtime.block_on(operate::run_usage(arguments)),
    };
    // A connection that never ends must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => show::failure(&why),
    }
}
