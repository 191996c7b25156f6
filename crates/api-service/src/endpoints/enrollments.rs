//! Individual enrollments and enrollment groups, which differ in nothing but their kind.

use bytes::Bytes;
use http::Request;
use usher_domain::{ErrorCode, Timestamp, document::QueryDocument};
use usher_registry::{BulkRequest, Filter, Kind, Tenant, bulk_from_json, document_from_json};

use crate::{denial::Denial, refuse, reply::Reply, request};

/// `GET /enrollments/{id}`
pub(super) async fn get(tenant: &Tenant, kind: Kind, id: &str, now: Timestamp) -> Result<Reply, Denial> {
    let document = tenant.registry.enrollment_document(kind, id, now).await?;
    Reply::document(&document, document.etag.as_deref())
}

/// `PUT /enrollments/{id}`: 200 whether it was there or not. An `etag` in the body does not count, only the header does.
pub(super) async fn put(tenant: &Tenant, kind: Kind, id: &str, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    let document = document_from_json(request.body())?;
    let written = tenant.put_enrollment(kind, id, document, request::if_match(request), now).await?;
    Reply::document(&written, written.etag.as_deref())
}

/// `DELETE /enrollments/{id}`
pub(super) async fn delete(tenant: &Tenant, kind: Kind, id: &str, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    tenant.registry.delete_enrollment(kind, id, request::if_match(request), now).await?;
    Ok(Reply::none())
}

/// `POST /enrollments/query`
pub(super) async fn query(tenant: &Tenant, kind: Kind, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    let page = request::page(request)?;
    let filter = Filter::parse(query_text(request)?.as_deref(), kind)?;
    let listing = tenant.registry.query(kind, &filter, &page, now).await?;
    let item_type = match kind {
        Kind::Individual => "Enrollment",
        Kind::Group => "EnrollmentGroup",
    };
    Reply::page(&listing, item_type, page.items())
}

fn query_text(request: &Request<Bytes>) -> Result<Option<String>, Denial> {
    if request.body().iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let document: Option<QueryDocument> = serde_json::from_slice(request.body())
        .map_err(|why| refuse(ErrorCode::InvalidBody, format!("The body is not a query specification: {why}.")))?;
    Ok(document.and_then(|document| document.query))
}

/// `POST /enrollments`: 200 even where items failed.
pub(super) async fn bulk(tenant: &Tenant, kind: Kind, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    let bulk = BulkRequest::read(bulk_from_json(request.body())?, kind)?;
    Reply::document(&tenant.bulk(kind, &bulk, now).await?, None)
}

/// `POST /enrollments/{id}/attestationmechanism`: no body is read.
pub(super) async fn attestation_mechanism(tenant: &Tenant, kind: Kind, id: &str, now: Timestamp) -> Result<Reply, Denial> {
    Reply::document(&tenant.registry.attestation_mechanism(kind, id, now).await?, None)
}
