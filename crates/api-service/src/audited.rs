//! What of this API goes into the audit log: changes, and keys that are shown.

use bytes::Bytes;
use http::Request;
use usher_audit::{Actor, Entry, Phase};
use usher_domain::{ErrorCode, ServiceError, Timestamp, TrackingId};
use usher_registry::Tenant;

use crate::{
    ClientAddress, ServiceApi,
    denial::Denial,
    reply::Reply,
    route::{Endpoint, Route},
};

/// A request that was let in.
pub struct Visit<'a> {
    pub request: &'a Request<Bytes>,
    pub tracking_id: &'a TrackingId,
    /// Who was let in.
    pub actor: Actor,
    pub now: Timestamp,
}

impl Endpoint {
    fn is_audited(self) -> bool {
        match self {
            Self::PutEnrollment(_)
            | Self::DeleteEnrollment(_)
            | Self::Bulk(_)
            | Self::AttestationMechanism(_)
            | Self::DeleteRegistration => true,
            Self::GetEnrollment(_) | Self::QueryEnrollments(_) | Self::GetRegistration | Self::QueryRegistrations => false,
        }
    }
}

impl ServiceApi {
    /// Writes down what is about to be tried; it is durable when this returns. What cannot be written down is not tried.
    pub(crate) async fn begin(&self, tenant: &Tenant, route: &Route, visit: Visit<'_>) -> Result<Option<Entry>, Denial> {
        let Some(audit) = self.audit.as_ref().filter(|_| route.door.endpoint.is_audited()) else { return Ok(None) };
        let entry = Entry {
            at: visit.now,
            tracking_id: visit.tracking_id.clone(),
            actor: visit.actor,
            address: visit.request.extensions().get::<ClientAddress>().map(|address| address.0),
            service: Some(tenant.service.name.clone()),
            action: Entry::action(visit.request.method().as_str(), visit.request.uri().path()),
            phase: Phase::Begun,
        };
        audit.begin(entry).await.map(Some).map_err(|_| Denial::from(ServiceError::new(ErrorCode::Unavailable)))
    }

    /// Writes down what came of it. Where that fails, the change is made all the same, and the log shows it as begun.
    pub(crate) async fn end(&self, entry: Option<Entry>, outcome: &Result<Reply, Denial>) {
        let (Some(audit), Some(entry)) = (&self.audit, entry) else { return };
        let status = match outcome {
            Ok(reply) => reply.status(),
            Err(denial) => denial.status(),
        };
        audit.end(&entry, self.clock.now(), status).await;
    }
}
