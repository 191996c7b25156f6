//! `usher`: the command line. It reads arguments, starts what they ask for, and speaks to people; every rule is elsewhere.

#[macro_use]
mod show;

mod begin;
mod bulk;
mod command;
mod copies;
mod demo;
mod dev;
mod device;
mod ended;
mod enroll;
mod examples;
mod logging;
mod near;
mod oidc;
mod operate;
mod pages;
mod serve;
mod service_api;
mod signing_request;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use command::{Cli, Command, DeviceCommand};
use service_api::Kind;

fn main() -> ExitCode {
    let cli = match Cli::from_arg_matches(&examples::add_to(Cli::command()).get_matches()) {
        Ok(cli) => cli,
        Err(why) => why.exit(),
    };
    let Some(command) = cli.command else { return begin::show() };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return show::failure(&format!("the runtime cannot start: {why}")),
    };
    let outcome = match command {
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
        Command::Registration(command) => runtime.block_on(operate::run_registration(command)),
        Command::Certificate(command) => runtime.block_on(operate::run_certificate(command)),
        Command::Enrollment(command) => return ended::conclude(runtime.block_on(enroll::run(Kind::Individual, command))),
        Command::Group(command) => return ended::conclude(runtime.block_on(enroll::run(Kind::Group, command))),
        Command::Completions(arguments) => pages::completions(&arguments),
        Command::Man(arguments) => pages::man(&arguments),
        Command::Reference => pages::reference(),
        Command::Keys(command) => runtime.block_on(operate::run_keys(command)),
        Command::Ca(command) => runtime.block_on(operate::run_ca(command)),
        Command::Explain(arguments) => runtime.block_on(operate::run_explain(arguments)),
        Command::Audit(command) => runtime.block_on(operate::run_audit(command)),
        Command::Usage(arguments) => runtime.block_on(operate::run_usage(arguments)),
        Command::Backup(arguments) => runtime.block_on(copies::run_backup(arguments)),
        Command::Restore(arguments) => runtime.block_on(copies::run_restore(arguments)),
        Command::Migrate(arguments) => runtime.block_on(copies::run_migrate(arguments)),
        Command::Check(arguments) => runtime.block_on(copies::run_check(arguments)),
    };
    // A connection that never ends must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => show::failure(&why),
    }
}
