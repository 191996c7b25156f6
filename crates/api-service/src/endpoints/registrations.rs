//! Registrations: what became of devices. They are made by registering alone.

use bytes::Bytes;
use http::Request;
use usher_domain::Timestamp;
use usher_registry::Tenant;

use crate::{denial::Denial, reply::Reply, request};

/// `GET /registrations/{id}`
pub(super) async fn get(tenant: &Tenant, id: &str, now: Timestamp) -> Result<Reply, Denial> {
    let document = tenant.registry.registration_state(id, now).await?;
    Reply::document(&document, document.etag.as_deref())
}

/// `DELETE /registrations/{id}`
pub(super) async fn delete(tenant: &Tenant, id: &str, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    tenant.registry.delete_registration(id, request::if_match(request), now).await?;
    Ok(Reply::none())
}

/// `POST /registrations/{enrollmentGroupId}/query`. The body is not read: azure-iot-cli-extension sends none, the Node SDK whatever its
/// caller gave, and all of a group's registrations are what every caller wants.
pub(super) async fn query(tenant: &Tenant, group_id: &str, request: &Request<Bytes>, now: Timestamp) -> Result<Reply, Denial> {
    let page = request::page(request)?;
    let listing = tenant.registry.registrations_of_group(group_id, &page, now).await?;
    Reply::page(&listing, "DeviceRegistration", page.items())
}
