//! Reading what a request carries beside its path: version, conditions, page, body.

use bytes::Bytes;
use http::{Method, Request, header};
use usher_domain::{
    ErrorCode, ServiceError,
    limits::{BULK_ITEMS_MAX, MESSAGE_BYTES_MAX},
};
use usher_registry::{IfMatch, PageRequest};

use crate::{denial::Denial, refuse, route::Endpoint};

/// Largest body on any path, in bytes: a bulk request whose every item is as large as one may be alone. All other bodies are held to
/// [`MESSAGE_BYTES_MAX`].
pub const BODY_BYTES_MAX: usize = BULK_ITEMS_MAX * MESSAGE_BYTES_MAX;
/// Longest continuation token taken, in characters; ours stay far below.
const CONTINUATION_CHARS_MAX: usize = 1024;

/// Checks what is common to all operations.
pub(crate) fn check(request: &Request<Bytes>, endpoint: Endpoint) -> Result<(), Denial> {
    let limit = if matches!(endpoint, Endpoint::Bulk(_)) { BODY_BYTES_MAX } else { MESSAGE_BYTES_MAX };
    let bytes = request.body().len();
    if bytes > limit {
        return Err(refuse(ErrorCode::BodyTooLarge, format!("The body has {bytes} bytes, at most {limit} are taken here.")));
    }
    if !has_api_version(request.uri().query().unwrap_or_default()) {
        return Err(Denial::from(ServiceError::new(ErrorCode::ApiVersionMissing)));
    }
    check_media_type(request)
}

/// Any version will do: old ones are subsets, and clients newer than this server are served as the newest it knows.
fn has_api_version(query: &str) -> bool {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().any(|(name, value)| name.eq_ignore_ascii_case("api-version") && !value.is_empty())
}

/// A body on PUT or POST must be JSON where it says what it is. Without a body the header means nothing: azure-iot-cli-extension sends
/// it on every request.
fn check_media_type(request: &Request<Bytes>) -> Result<(), Denial> {
    let has_body = matches!(*request.method(), Method::PUT | Method::POST) && !request.body().is_empty();
    let Some(value) = request.headers().get(header::CONTENT_TYPE).filter(|_| has_body) else { return Ok(()) };
    let named = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if named == "application/json" || named == "text/json" || named.ends_with("+json") {
        return Ok(());
    }
    Err(Denial::from(ServiceError::new(ErrorCode::UnsupportedMediaType)))
}

/// The condition on the record.
pub(crate) fn if_match(request: &Request<Bytes>) -> IfMatch {
    match request.headers().get(header::IF_MATCH).map(|value| value.to_str()) {
        None => IfMatch::Unsaid,
        Some(Ok(text)) => IfMatch::parse(Some(text)),
        Some(Err(_)) => IfMatch::Never,
    }
}

/// The page that is asked for. Sizes out of range are cut to it; a size of 0 or less means none was named.
pub(crate) fn page(request: &Request<Bytes>) -> Result<PageRequest, Denial> {
    let max_items = match text_header(request, "x-ms-max-item-count")? {
        None => None,
        Some(text) => {
            let wrong = |_| refuse(ErrorCode::BadRequest, "x-ms-max-item-count must be a number.");
            let wished: i64 = text.trim().parse().map_err(wrong)?;
            usize::try_from(wished).ok().filter(|wished| *wished > 0)
        }
    };
    let continuation = text_header(request, "x-ms-continuation")?;
    match continuation {
        Some(token) if token.len() > CONTINUATION_CHARS_MAX => Err(refuse(ErrorCode::BadRequest, "The continuation token is too long.")),
        continuation => Ok(PageRequest { max_items, continuation: continuation.map(str::to_owned) }),
    }
}

fn text_header<'a>(request: &'a Request<Bytes>, name: &str) -> Result<Option<&'a str>, Denial> {
    let Some(value) = request.headers().get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(_) => Err(refuse(ErrorCode::BadRequest, format!("The header {name} cannot be read."))),
    }
}
