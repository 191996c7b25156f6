//! `/metrics`: what Prometheus reads, in the OpenMetrics text format. It takes the management API's token as its bearer token
//! (Prometheus: scrape_config, `authorization`), since it names services.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use tracing::warn;
use usher_domain::Timestamp;
use usher_records::RecordError;
use usher_registry::Directory;

use crate::{doors::Doors, hub_metrics};

/// Months of the meter that are told: this one, and the one before, so that no scrape misses the last operations of a month.
const MONTHS: usize = 2;
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMonth {
    service: String,
    month: String,
}

/// Answers a scrape.
pub async fn answer(doors: &Doors, headers: &HeaderMap) -> Response<Bytes> {
    if !doors.management.admits(headers).await {
        let mut response = plain(StatusCode::UNAUTHORIZED, "The management API's token is needed as bearer token.\n".into());
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return response;
    }
    match gather(doors).await {
        Ok(text) => plain(StatusCode::OK, text),
        Err(error) => {
            warn!(check = "metrics", detail = %error, mend = "See the store's own log lines.", "the metrics could not be read");
            plain(StatusCode::SERVICE_UNAVAILABLE, "The store cannot be read now; the log says why.\n".into())
        }
    }
}

async fn gather(doors: &Doors) -> Result<String, RecordError> {
    let mut registry = Registry::with_prefix("usher");
    let operations = operations(&doors.directory, doors.engine.now()).await?;
    registry.register("operations", "Metered operations by service and calendar month (UTC)", operations);
    let under_way: Gauge = Gauge::default();
    under_way.set(i64::try_from(doors.engine.under_way()).unwrap_or(i64::MAX));
    registry.register("registrations_under_way", "Registrations that this node is working on", under_way);
    let resting: Gauge = Gauge::default();
    resting.set(i64::try_from(doors.engine.resting()).unwrap_or(i64::MAX));
    registry.register("registrations_resting", "Registrations that wait here for a hub or a webhook", resting);
    hub_metrics::register(&mut registry, &doors.linked_hubs.health());
    let started: Gauge = Gauge::default();
    started.set(doors.started.secs());
    registry.register_with_unit("start_time", "When this node started, as Unix time", Unit::Seconds, started);
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = encode(&mut text, &registry);
    Ok(text)
}

async fn operations(directory: &Directory, now: Timestamp) -> Result<Family<ByMonth, Counter>, RecordError> {
    let family = Family::<ByMonth, Counter>::default();
    for tenant in directory.tenants().await? {
        for (month, used) in tenant.registry.usage_by_months(now, MONTHS).await? {
            let labels = ByMonth { service: tenant.service.name.clone(), month };
            family.get_or_create(&labels).inc_by(u64::try_from(used).unwrap_or_default());
        }
    }
    Ok(family)
}

fn plain(status: StatusCode, text: String) -> Response<Bytes> {
    let kind = if status == StatusCode::OK { CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    Response::builder().status(status).header(header::CONTENT_TYPE, kind).body(Bytes::from(text)).unwrap_or_default()
}
