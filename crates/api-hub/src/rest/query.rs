//! `POST /devices/query`.

use http::HeaderValue;
use serde_json::Value;
use usher_hub_embedded::{Fault, hub::PAGE_DEVICES_DEFAULT, query};

use super::{Answer, answer, request::Call};

/// Runs a query and answers a page of its result; the next page's token goes out in `x-ms-continuation` and comes back there.
pub async fn run(call: &Call) -> Answer {
    let body = call.json()?;
    let text = body.get("query").and_then(Value::as_str).ok_or_else(|| Fault::invalid("query is missing."))?;
    let query = query::parse(text)?;
    let limit = match call.header("x-ms-max-item-count") {
        None => PAGE_DEVICES_DEFAULT,
        Some(text) => {
            text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| Fault::invalid("x-ms-max-item-count must be a number."))?
        }
    };
    let continuation = call.header("x-ms-continuation").filter(|token| !token.is_empty());
    let page = call.hub.query(&query, limit, continuation).await?;
    let mut response = answer::json(&Value::Array(page.items));
    response.headers_mut().insert("x-ms-item-type", HeaderValue::from_static(query.item_type()));
    if let Some(token) = page.continuation.and_then(|token| HeaderValue::from_str(&token).ok()) {
        response.headers_mut().insert("x-ms-continuation", token);
    }
    Ok(response)
}
