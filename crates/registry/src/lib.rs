//! A provisioning service's records and the rules for changing them: enrollments, registrations, usage, and the directory of
//! services itself.
//!
//! The device endpoint and the service API both come here, so that a rule stands once. A [`Directory`] finds services; a [`Tenant`]
//! is one service with its [`Registry`]. Every change and every index entry and counter that belongs to it are one commit of the
//! store: a reader sees all of it or nothing. There is no HTTP in here; refusals are the service's errors ready to be told.

mod attempts;
mod browse;
mod bulk;
mod ca_certificates;
mod challenges;
mod change;
mod credential_policies;
mod delete;
mod directory;
mod etag;
mod fault;
mod incoming;
mod kind;
mod outgoing;
mod query;
mod quota;
mod rates;
mod references;
mod registrations;
mod registry;
mod signers;
mod spaces;
mod symmetric_groups;
mod telling;
mod usage;

pub use attempts::ATTEMPTS_KEPT;
pub use browse::{Counts, Found};
pub use bulk::{BulkMode, BulkRequest};
pub use ca_certificates::CaCertificates;
pub use challenges::{CHALLENGE_LIFETIME_MS, Challenge};
pub use directory::{Directory, RESOURCE_GROUPS_MAX, SERVICES_MAX, Tenant, Written};
pub use etag::{IfMatch, wire_etag};
pub use incoming::{bulk_from_json, document_from_json};
pub use kind::Kind;
pub use outgoing::enrollment_document;
pub use query::{Filter, QUERY_CHARS_MAX};
pub use registrations::PendingPage;
pub use registry::Registry;
pub use signers::GROUPS_PER_SIGNER_MAX;
pub use telling::{Listing, PageRequest};
