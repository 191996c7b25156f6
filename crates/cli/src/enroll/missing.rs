//! What is told where an ID is not there: the one that may be meant.

use serde_json::Value;
use usher_device::Failure;

use crate::{
    near::nearest,
    service_api::{Kind, Refusal, ServiceApi},
};

/// Pages that are looked through for a near ID, of the largest size: near ones among a million would be too long in coming.
const PAGES_MAX: usize = 5;
/// Enrollments of a page.
const PAGE_ITEMS: usize = 1_000;

/// The failure for a refusal; one for an ID that is not there names the nearest that is.
pub async fn explained(api: &ServiceApi, kind: Kind, id: &str, refusal: Refusal) -> Failure {
    if refusal.status != 404 {
        return refusal.failure();
    }
    let near = near(api, kind, id).await.map(|near| format!("; is {near} meant?")).unwrap_or_default();
    let next = format!("`usher {} list` shows what there is.", kind.command());
    Failure::new(kind.noun(), format!("there is no {} {id}{near}", kind.noun()), next)
}

async fn near(api: &ServiceApi, kind: Kind, id: &str) -> Option<String> {
    let (mut token, mut best) = (None, None);
    for _ in 0..PAGES_MAX {
        let answer = api.page(&kind.query_path(), None, PAGE_ITEMS, token.as_deref()).await.ok()?;
        token.clone_from(&answer.continuation);
        let page = answer.accepted().ok()?;
        let ids = page.as_array().into_iter().flatten().filter_map(|document| document[kind.id_member()].as_str());
        best = nearest(id, ids.chain(best.as_deref())).map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    best
}

/// Members of a page.
pub fn items(page: Value) -> Vec<Value> {
    match page {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}
