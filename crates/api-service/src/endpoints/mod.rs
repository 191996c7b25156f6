//! What each door leads to. By here the caller has proved the right to come in.

mod enrollments;
mod registrations;

use bytes::Bytes;
use http::Request;
use usher_domain::Timestamp;
use usher_registry::Tenant;

use crate::{
    denial::Denial,
    reply::Reply,
    route::{Endpoint, Route},
};

/// Carries out a request on a service.
pub(crate) async fn call(tenant: &Tenant, route: &Route, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    let id = route.id.as_str();
    match route.door.endpoint {
        Endpoint::GetEnrollment(kind) => enrollments::get(tenant, kind, id, now).await,
        Endpoint::PutEnrollment(kind) => enrollments::put(tenant, kind, id, request, now).await,
        Endpoint::DeleteEnrollment(kind) => enrollments::delete(tenant, kind, id, request, now).await,
        Endpoint::QueryEnrollments(kind) => enrollments::query(tenant, kind, request, now).await,
        Endpoint::Bulk(kind) => enrollments::bulk(tenant, kind, request, now).await,
        Endpoint::AttestationMechanism(kind) => enrollments::attestation_mechanism(tenant, kind, id, now).await,
        Endpoint::GetRegistration => registrations::get(tenant, id, now).await,
        Endpoint::DeleteRegistration => registrations::delete(tenant, id, request, now).await,
        Endpoint::QueryRegistrations => registrations::query(tenant, id, request, now).await,
    }
}
