//! Successful answers. Their status codes are exact, since clients take no others.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use usher_domain::{ErrorCode, ServiceError, TrackingId};
use usher_registry::Listing;

use crate::denial::Denial;

/// An answer before it is framed.
pub(crate) struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// 200 with a document, and its ETag where it has one.
    pub fn document(document: &impl Serialize, etag: Option<&str>) -> Result<Self, Denial> {
        let headers = etag.map(|etag| ("etag", etag.to_owned())).into_iter().collect();
        Ok(Self { status: StatusCode::OK, body: json(document)?, headers })
    }

    /// 200 with a page. The continuation header is left out on the last one: the Node SDK ends only when there is none
    /// (azure-iot-provisioning-service: query.js).
    pub fn page<T: Serialize>(listing: &Listing<T>, item_type: &str, page_items: usize) -> Result<Self, Denial> {
        let mut headers = vec![("x-ms-item-type", item_type.to_owned()), ("x-ms-max-item-count", page_items.to_string())];
        headers.extend(listing.continuation.iter().map(|token| ("x-ms-continuation", token.clone())));
        Ok(Self { status: StatusCode::OK, body: json(&listing.items)?, headers })
    }

    /// 204 without a body.
    pub fn none() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Vec::new(), headers: Vec::new() }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// The framed answer.
    pub fn respond(self, tracking_id: &TrackingId) -> Response<Bytes> {
        let mut response = Response::builder().status(self.status).header("x-ms-request-id", tracking_id.as_str());
        if self.status != StatusCode::NO_CONTENT {
            response = response.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response = response.header(name, value);
            }
        }
        response.body(Bytes::from(self.body)).unwrap_or_default()
    }
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, Denial> {
    serde_json::to_vec(document).map_err(|why| Denial::from(ServiceError::with(ErrorCode::Internal, why.to_string())))
}
