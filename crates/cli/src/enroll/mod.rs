//! `usher enrollment` and `usher group`: who may register. They speak the service API, as Azure's service SDKs do.

mod arguments;
mod change;
mod document;
mod many;
mod missing;
mod reach;
mod settings;
mod show;

use usher_device::Failure;

pub use arguments::RecordCommand;
pub use reach::{ServiceReach, open};
pub use settings::{GroupSettings, IndividualSettings, Settings};

use crate::{ended::Ended, service_api::Kind};

/// `usher enrollment …` and `usher group …`
pub async fn run<S: Settings>(kind: Kind, command: RecordCommand<S>) -> Result<(), Ended> {
    match command {
        RecordCommand::List(arguments) => show::list(kind, &arguments).await?,
        RecordCommand::Show { id, keys, reach } => show::show(kind, &id, keys, &reach).await?,
        RecordCommand::Keys { id, reach } => show::keys(kind, &id, &reach).await?,
        RecordCommand::Create(arguments) => change::create(kind, &arguments).await?,
        RecordCommand::Update(arguments) => change::update(kind, &arguments).await?,
        RecordCommand::Delete { id, etag, reach } => change::delete(kind, &id, etag.as_deref(), &reach).await?,
        RecordCommand::Enable { id, etag, reach } => change::set_status(kind, &id, "enabled", etag.as_deref(), &reach).await?,
        RecordCommand::Disable { id, etag, reach } => change::set_status(kind, &id, "disabled", etag.as_deref(), &reach).await?,
        RecordCommand::Import(arguments) => many::import(kind, &arguments).await?,
        RecordCommand::Export(arguments) => many::export(kind, &arguments).await?,
    }
    Ok(())
}

/// The service's refusal for people.
fn refused(refusal: crate::service_api::Refusal) -> Failure {
    refusal.failure()
}
