//! What the console reads of a service beside the two APIs: counts, hubs, feed, figures for the plots, and searches (docs/console.md).

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use usher_console::{answer, route::Read};
use usher_domain::{ServiceError, service::HubConnection};
use usher_hub::health::{BreakerHealth, HubHealth};
use usher_records::RecordError;
use usher_registry::{Kind, PageRequest, Tenant};

use super::{Console, unreadable};
use crate::doors::Doors;

impl Console {
    /// Answers one of the reading endpoints.
    pub(super) async fn read(&self, doors: &Doors, service: &str, what: Read, request: &Request<Bytes>) -> Response<Bytes> {
        let tenant = match doors.directory.by_name(service).await {
            Ok(Some(tenant)) => tenant,
            Ok(None) => {
                let message = format!("There is no provisioning service {service:.64}.");
                return answer::refusal(StatusCode::NOT_FOUND, &message, "Go to the list of services; somebody may have deleted it.");
            }
            Err(fault) => return unreadable(&fault),
        };
        let query = Query(request.uri().query().unwrap_or_default());
        match what {
            Read::Counts => framed(tenant.registry.counts().await),
            Read::Hubs => answer::document(StatusCode::OK, &self.hubs(doors, &tenant)),
            Read::Feed => self.feed(&tenant, &query),
            Read::Trends => self.trends(doors, &tenant).await.unwrap_or_else(|fault| unreadable(&fault)),
            Read::Find => find(&tenant, &query).await,
        }
    }

    fn feed(&self, tenant: &Tenant, query: &Query<'_>) -> Response<Bytes> {
        let after = query.text("after").and_then(|number| number.parse().ok()).unwrap_or_default();
        let news = self.watch.feed().after(tenant.service.tenant, after);
        answer::document(StatusCode::OK, &json!({ "last": news.last, "more": news.more, "attempts": news.attempts }))
    }

    async fn trends(&self, doors: &Doors, tenant: &Tenant) -> Result<Response<Bytes>, RecordError> {
        let now = self.clock.now();
        let months = tenant.registry.usage_by_months(now, 12).await?;
        let months: Vec<Value> =
            months.into_iter().map(|(month, operations)| json!({ "month": month, "operations": operations })).collect();
        let minutes = json!(self.watch.trends().of(tenant.service.tenant, now.secs()));
        let told = json!({ "nodeStarted": doors.started.secs(), "now": now.secs(), "minutes": minutes, "months": months });
        Ok(answer::document(StatusCode::OK, &told))
    }

    fn hubs(&self, doors: &Doors, tenant: &Tenant) -> Value {
        let (health, trends) = (doors.linked_hubs.health(), self.watch.trends());
        let minutes = trends.of(tenant.service.tenant, self.clock.now().secs());
        let hubs = &tenant.service.hubs;
        let taking = hubs.iter().filter(|hub| hub.apply_allocation_policy);
        let weights: u64 = taking.map(|hub| u64::from(hub.weight)).sum();
        let told = hubs.iter().map(|hub| {
            let assigned: u64 =
                minutes.iter().filter_map(|minute| minute.hubs.get(hub.name.as_str())).flatten().map(|count| u64::from(*count)).sum();
            let weight = if hub.apply_allocation_policy { u64::from(hub.weight) } else { 0 };
            json!({
                "name": hub.name,
                "kind": kind(&hub.connection),
                "share": if weights == 0 { 0.0 } else { weight as f64 / weights as f64 },
                "assigned": assigned,
                // Of several connections to one hub the latest comes last, and is the one in use.
                "health": health.iter().rfind(|health| health.name == hub.name).map(describe),
            })
        });
        json!({ "value": told.collect::<Vec<_>>(), "since": doors.started })
    }
}

fn kind(connection: &HubConnection) -> &'static str {
    match connection {
        HubConnection::Embedded => "embedded",
        HubConnection::IotHub { .. } => "IoT Hub",
        HubConnection::Mosquitto { .. } => "Mosquitto",
    }
}

fn describe(health: &HubHealth) -> Value {
    let (breaker, left_s, cause) = match health.breaker {
        BreakerHealth::Closed => ("closed", None, None),
        BreakerHealth::Patient { left } => ("patient", Some(left.as_secs()), None),
        BreakerHealth::Open { left, cause } => ("open", Some(left.as_secs()), Some(format!("{cause:?}"))),
        BreakerHealth::HalfOpen => ("halfOpen", None, None),
    };
    json!({
        "breaker": breaker,
        "secondsLeft": left_s,
        "cause": cause,
        "calls": health.calls,
        "failed": health.failed,
        "throttled": health.throttled,
        "notMade": health.refused,
        "inFlight": health.in_flight,
        "waiting": health.waiting,
        "latenciesMs": health.latencies.iter().map(|latency| latency.as_millis()).collect::<Vec<_>>(),
    })
}

async fn find(tenant: &Tenant, query: &Query<'_>) -> Response<Bytes> {
    let prefix = query.text("prefix").unwrap_or_default();
    let page =
        PageRequest { max_items: query.text("limit").and_then(|limit| limit.parse().ok()), continuation: query.text("continuation") };
    let registry = &tenant.registry;
    match query.text("kind").as_deref() {
        Some("enrollment") => framed(registry.find_enrollments(Kind::Individual, &prefix, &page).await),
        Some("group") => framed(registry.find_enrollments(Kind::Group, &prefix, &page).await),
        Some("registration") => framed(registry.find_registrations(&prefix, &page).await),
        _ => answer::refusal(StatusCode::BAD_REQUEST, "kind must be enrollment, group or registration.", "Load the page again."),
    }
}

fn framed<T: Serialize>(outcome: Result<T, ServiceError>) -> Response<Bytes> {
    match outcome {
        Ok(found) => answer::document(StatusCode::OK, &serde_json::to_value(found).unwrap_or_default()),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            answer::refusal(status, &error.message, "Try again; if it stays, the server's log says more.")
        }
    }
}

/// A request's query.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(own, _)| *own == name)?;
        let value = percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
        Some(value).filter(|value| !value.is_empty())
    }
}
