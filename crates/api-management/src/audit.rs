//! The audit log: what of this API goes into it, and reading it.

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use usher_audit::{Actor, AuditLog, Entry, Link, PAGE_MAX, Phase};
use usher_domain::{ErrorCode, ServiceError, TrackingId};

use crate::{
    ClientAddress, ManagementApi,
    answer::{Answer, Refused},
    route::Route,
};

/// Entries of a page where the request does not say.
const PAGE: usize = 100;

impl ManagementApi {
    /// Writes down what is about to be tried: everything but reading, and asking whether a name is free. It is durable when this returns;
    /// what cannot be written down is not tried.
    pub(crate) async fn begin(
        &self,
        actor: Actor,
        route: &Route,
        request: &Request<Bytes>,
        tracking_id: &TrackingId,
    ) -> Result<Option<Entry>, Refused> {
        let reads = [Method::GET, Method::HEAD].contains(request.method()) || *route == Route::CheckName;
        let Some(audit) = self.audit.as_ref().filter(|_| !reads) else { return Ok(None) };
        let service = if let Route::Service(place, _) = route { Some(place.name.clone()) } else { None };
        let entry = Entry {
            at: self.ports.clock.now(),
            tracking_id: tracking_id.clone(),
            actor,
            address: request.extensions().get::<ClientAddress>().map(|address| address.0),
            service,
            action: Entry::action(request.method().as_str(), request.uri().path()),
            phase: Phase::Begun,
        };
        audit.begin(entry).await.map(Some).map_err(|_| Refused::from(ServiceError::new(ErrorCode::Unavailable)))
    }

    /// Writes down what came of it. Where that fails, the change is made all the same, and the log shows it as begun.
    pub(crate) async fn end(&self, entry: Option<Entry>, outcome: &Result<Answer, Refused>) {
        let (Some(audit), Some(entry)) = (&self.audit, entry) else { return };
        let status = outcome.as_ref().map_or_else(|refused| refused.status, |answer| answer.status);
        audit.end(&entry, self.ports.clock.now(), status).await;
    }

    /// A page of entries, newest first: `limit` of them, those before the number `before`.
    pub(crate) async fn audit_page(&self, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let limit = number(request, "limit")?.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Refused::bad("InvalidParameter", format!("limit is a number from 1 to {PAGE_MAX}.")));
        }
        let links = self.audit()?.page(number(request, "before")?, limit).await?;
        let next = links.last().filter(|last| last.number > 1 && links.len() == limit).map(|last| last.number);
        Ok(Answer::ok(json!({ "value": links.iter().map(told).collect::<Vec<_>>(), "next": next })))
    }

    /// Whether the log is whole, and still has the entry of a digest that was kept.
    pub(crate) async fn audit_proof(&self, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let verified = self.audit()?.verify(parameter(request, "digest")).await?;
        let broken = verified.broken.as_ref().map(ToString::to_string);
        Ok(Answer::ok(json!({ "entries": verified.entries, "digest": verified.digest, "whole": broken.is_none(), "broken": broken })))
    }

    fn audit(&self) -> Result<&AuditLog, Refused> {
        self.audit.as_ref().ok_or_else(|| Refused::missing("This server keeps no audit log."))
    }
}

fn told(link: &Link) -> Value {
    // What cannot be read is shown as it is: somebody has written it.
    let entry: Value = serde_json::from_str(&link.text).unwrap_or_else(|_| Value::String(link.text.clone()));
    json!({ "number": link.number, "digest": link.digest, "entry": entry })
}

fn parameter<'a>(request: &'a Request<Bytes>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).next()
}

fn number(request: &Request<Bytes>, name: &str) -> Result<Option<u64>, Refused> {
    let parsed = parameter(request, name).map(str::parse).transpose();
    parsed.map_err(|_| Refused::bad("InvalidParameter", format!("{name} is a number.")))
}
