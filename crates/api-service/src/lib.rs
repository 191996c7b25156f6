//! The service API: what operators and their tools call to keep enrollments, groups and registrations
//! (azure-rest-api-specs: DeviceProvisioningServices/service/routes.tsp).
//!
//! This room reads requests, asks for a token with the right for the operation, and words the answers; every rule about records is
//! the registry's. One door leads in, [`ServiceApi::handle`], and past it nothing is reached without a token.

mod audited;
mod authorize;
mod denial;
mod endpoints;
mod openapi;
mod reply;
mod request;
mod route;

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use usher_audit::{Actor, AuditLog};
use usher_domain::{
    ErrorCode, ServiceError, Timestamp, TrackingId,
    clock::{Clock, Entropy},
};
use usher_registry::{Directory, Tenant};

pub use openapi::{OPENAPI, OPENAPI_PATH, openapi};
pub use request::BODY_BYTES_MAX;
pub use route::{Door, doors};

use crate::{audited::Visit, denial::Denial, reply::Reply, route::Route};

/// From where a request comes, among its extensions.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub std::net::IpAddr);

/// The service API of one node.
pub struct ServiceApi {
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    audit: Option<AuditLog>,
}

/// Whether a path belongs to the service API. The device API's paths begin with an ID scope, the hub's with other words.
pub fn claims(path: &str) -> bool {
    route::is_ours(path)
}

impl ServiceApi {
    /// The API over these services. Randomness names requests, in answers and in the log.
    pub fn new(directory: Arc<Directory>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { directory, clock, entropy, audit: None }
    }

    /// The same with every change written down in the audit log.
    #[must_use]
    pub fn with_audit(self, audit: AuditLog) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Answers a request. Its body is expected whole; it is refused if larger than [`BODY_BYTES_MAX`].
    pub async fn handle(&self, request: Request<Bytes>) -> Response<Bytes> {
        let tracking_id = self.new_tracking_id();
        let now = self.clock.now();
        Self::respond(self.answer(&request, &tracking_id, now).await, &request, &tracking_id, now)
    }

    /// Answers a request for the service of this name by somebody who was let in as an administrator of the installation, who needs no token
    /// of the service: the caller has made sure of that. All else is as in [`ServiceApi::handle`].
    pub async fn handle_for_administrator(&self, actor: Actor, service: &str, request: Request<Bytes>) -> Response<Bytes> {
        let (tracking_id, now) = (self.new_tracking_id(), self.clock.now());
        let outcome = async {
            let route = route::find(request.method(), request.uri().path())?;
            let missing = || refuse(ErrorCode::NotFound, format!("There is no provisioning service {service:.64}."));
            let tenant = self.directory.by_name(service).await?.ok_or_else(missing)?;
            self.carry_out(&tenant, &route, Visit { request: &request, tracking_id: &tracking_id, actor, now }).await
        };
        Self::respond(outcome.await, &request, &tracking_id, now)
    }

    fn respond(outcome: Result<Reply, Denial>, request: &Request<Bytes>, tracking_id: &TrackingId, now: Timestamp) -> Response<Bytes> {
        match outcome {
            Ok(reply) => reply.respond(tracking_id),
            Err(denial) => {
                denial.log(request, tracking_id);
                denial.respond(tracking_id, now)
            }
        }
    }

    async fn answer(&self, request: &Request<Bytes>, tracking_id: &TrackingId, now: Timestamp) -> Result<Reply, Denial> {
        let route = route::find(request.method(), request.uri().path())?;
        let (tenant, policy) = authorize::authorize(&self.directory, request, route.door.right, now).await?;
        self.carry_out(&tenant, &route, Visit { request, tracking_id, actor: Actor::Policy(policy), now }).await
    }

    async fn carry_out(&self, tenant: &Tenant, route: &Route, visit: Visit<'_>) -> Result<Reply, Denial> {
        let (request, now) = (visit.request, visit.now);
        tenant.admit_operation(now)?;
        request::check(request, route.door.endpoint)?;
        let entry = self.begin(tenant, route, visit).await?;
        let outcome = endpoints::call(tenant, route, request, now).await;
        self.end(entry, &outcome).await;
        outcome
    }

    fn new_tracking_id(&self) -> TrackingId {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        TrackingId::from_random(bytes)
    }
}

/// A refusal that tells the client as much as the log.
fn refuse(code: ErrorCode, why: impl Into<String>) -> Denial {
    Denial::from(ServiceError::with(code, why))
}
