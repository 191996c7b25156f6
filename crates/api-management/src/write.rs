//! Making, changing and deleting services. Every change is complete, and durable, when it is answered.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderName, Request, header};
use serde_json::Value;
use usher_domain::{ErrorCode, ServiceError, service::ProvisioningService};
use usher_records::Versioned;
use usher_registry::{IfMatch, Written};

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    describe,
    incoming::{Context, Description, checked_tags},
    read::NAME_RULE,
    route::Place,
};

impl ManagementApi {
    /// Creates or replaces a service.
    pub(crate) async fn put(&self, place: &Place, request: &Request<Bytes>) -> Result<Answer, Refused> {
        if !describe::is_name(&place.name) {
            return Err(Refused::bad("InvalidResourceName", NAME_RULE));
        }
        let description = Description::from_json(request.body())?;
        let only_new = text(request, &header::IF_NONE_MATCH).is_some_and(|condition| condition.trim() == "*");
        let context = Context { place, settings: &self.settings, site: self.ports.site.as_ref(), entropy: self.ports.entropy.as_ref() };
        let make = |old: Option<&ProvisioningService>| match old {
            Some(_) if only_new => Err(ServiceError::with(ErrorCode::PreconditionFailed, "There is a service of this name already.")),
            old => description.apply(old, &context),
        };
        let written = self.ports.directory.put(&place.name, if_match(request), make).await?;
        self.announce(&written);
        let created = written.created;
        Ok(Answer::written(self.told(written), created))
    }

    /// Replaces a service's tags; nothing else can be patched (azure-rest-api-specs: TagsResource).
    pub(crate) async fn patch(&self, place: &Place, request: &Request<Bytes>) -> Result<Answer, Refused> {
        self.found(place).await?;
        let body: BTreeMap<String, Value> =
            serde_json::from_slice(request.body()).map_err(|_| Refused::bad("InvalidRequestContent", TAGS_ONLY))?;
        if body.iter().any(|(name, value)| name != "tags" && !value.is_null()) {
            return Err(Refused::bad("InvalidRequestContent", TAGS_ONLY));
        }
        let tags: Option<BTreeMap<String, String>> = match body.get("tags") {
            None => None,
            Some(tags) => serde_json::from_value(tags.clone()).map_err(|_| Refused::bad("InvalidRequestContent", TAGS_ONLY))?,
        };
        let tags = tags.map(|tags| checked_tags(&tags)).transpose()?;
        let make = |old: Option<&ProvisioningService>| {
            let mut service = old.cloned().ok_or_else(|| ServiceError::with(ErrorCode::NotFound, "The service is gone."))?;
            service.resource.tags = tags.clone().unwrap_or(service.resource.tags);
            Ok(service)
        };
        let written = self.ports.directory.put(&place.name, if_match(request), make).await?;
        Ok(Answer::ok(self.told(written)))
    }

    /// Deletes a service with everything in it. Its devices stay on their hubs.
    pub(crate) async fn delete(&self, place: &Place, request: &Request<Bytes>) -> Result<Answer, Refused> {
        match self.found(place).await {
            Ok(_) => {}
            Err(refused) if refused.status == 404 => return Ok(Answer::deleted(false)),
            Err(refused) => return Err(refused),
        }
        let was_there = self.ports.directory.delete(&place.name, if_match(request), self.ports.clock.now()).await?;
        Ok(Answer::deleted(was_there))
    }

    /// The service's host name must be answered to by TLS. A failure leaves a service that can be reached after the next start.
    fn announce(&self, written: &Written) {
        if !written.created {
            return;
        }
        let host = &written.service.value.host_name;
        if let Err(detail) = self.ports.site.serve_host(host) {
            let mend = "Restart the server: it then answers to this name.";
            tracing::error!(check = "service.hostName", host, detail, mend, "the server does not answer to a new service's host name");
        }
    }

    fn told(&self, written: Written) -> Value {
        let Versioned { value, etag } = written.service;
        describe::service(&Versioned { value: Arc::new(value), etag }, &self.settings)
    }
}

const TAGS_ONLY: &str = "The body must be {\"tags\": {…}} with texts: only tags can be patched. Use PUT for the rest.";

/// The condition in a request.
pub(crate) fn if_match(request: &Request<Bytes>) -> IfMatch {
    IfMatch::parse(text(request, &header::IF_MATCH))
}

fn text<'a>(request: &'a Request<Bytes>, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or("unreadable"))
}
