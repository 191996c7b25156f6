//! Which hubs an enrollment may use and how one of them is chosen.

use std::collections::BTreeSet;

use usher_domain::{
    HubName, Secret, ServiceError,
    document::{CustomAllocationDocument, EnrollmentDocument},
    enrollment::{AllocationPolicy, CustomAllocation},
    limits::LINKED_HUBS_MAX,
};

use super::{Incoming, given, invalid};
use crate::outgoing::masked_url;

/// Longest webhook URL, in characters: what common HTTP servers take as a request line.
const WEBHOOK_URL_CHARS_MAX: usize = 2048;
/// Longest API version name, in characters.
const API_VERSION_CHARS_MAX: usize = 64;

impl Incoming<'_> {
    /// `iotHubs` and the legacy `iotHubHostName`, each a linked hub.
    pub(super) fn hubs(&self, document: &EnrollmentDocument) -> Result<(Vec<HubName>, Option<HubName>), ServiceError> {
        let named = document.iot_hubs.as_deref().unwrap_or_default();
        if named.len() > LINKED_HUBS_MAX {
            return Err(invalid(format!("iotHubs names {} hubs, at most {LINKED_HUBS_MAX} can be linked.", named.len())));
        }
        let mut seen = BTreeSet::new();
        let mut hubs = Vec::with_capacity(named.len());
        for name in named {
            let hub = self.linked_hub(name, "iotHubs")?;
            if seen.insert(hub.clone()) {
                hubs.push(hub);
            }
        }
        let legacy = given(&document.iot_hub_host_name).map(|name| self.linked_hub(name, "iotHubHostName")).transpose()?;
        match &legacy {
            Some(hub) if !hubs.is_empty() && !hubs.contains(hub) => {
                Err(invalid("iotHubHostName is not one of iotHubs. Leave one of them out."))
            }
            _ => Ok((hubs, legacy)),
        }
    }

    fn linked_hub(&self, name: &str, member: &str) -> Result<HubName, ServiceError> {
        let hub = HubName::parse(name).map_err(|why| invalid(format!("{member}: {why}.")))?;
        if self.service.hub(&hub).is_some() {
            return Ok(hub);
        }
        Err(invalid(format!("{member} names {hub}, which is not linked to this service. Link the hub first.")))
    }

    /// The enrollment's own policy.
    pub(super) fn allocation(
        &self,
        document: &EnrollmentDocument,
        hubs: &[HubName],
        legacy: Option<&HubName>,
    ) -> Result<Option<AllocationPolicy>, ServiceError> {
        let Some(name) = given(&document.allocation_policy) else { return Ok(None) };
        let is = |policy: &str| name.eq_ignore_ascii_case(policy);
        if is("hashed") {
            Ok(Some(AllocationPolicy::Hashed))
        } else if is("geoLatency") {
            Ok(Some(AllocationPolicy::GeoLatency))
        } else if is("static") {
            let hubs_named = if hubs.is_empty() { usize::from(legacy.is_some()) } else { hubs.len() };
            if hubs_named == 1 {
                Ok(Some(AllocationPolicy::Static))
            } else {
                Err(invalid("The static policy needs exactly one hub in iotHubs."))
            }
        } else if is("custom") {
            let definition = document.custom_allocation_definition.as_ref();
            let definition = definition.ok_or_else(|| invalid("The custom policy needs a customAllocationDefinition."))?;
            self.custom(definition).map(|custom| Some(AllocationPolicy::Custom(custom)))
        } else {
            Err(invalid("allocationPolicy must be hashed, geoLatency, static or custom."))
        }
    }

    fn custom(&self, definition: &CustomAllocationDocument) -> Result<CustomAllocation, ServiceError> {
        let CustomAllocationDocument { webhook_url, api_version } = definition;
        let is_http = ["https://", "http://"].iter().any(|scheme| {
            webhook_url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && webhook_url.len() > scheme.len()
        });
        let printable = webhook_url.bytes().all(|b| b.is_ascii_graphic());
        if !is_http || !printable || webhook_url.len() > WEBHOOK_URL_CHARS_MAX {
            let why = format!("webhookUrl must be an http or https URL of at most {WEBHOOK_URL_CHARS_MAX} characters.");
            return Err(invalid(why));
        }
        let authority = webhook_url.split(['/', '?', '#']).nth(2).unwrap_or_default();
        if authority.contains('@') {
            return Err(invalid("webhookUrl must not have a user name in it: it is not sent. Put a function key into the query."));
        }
        if api_version.is_empty() || api_version.len() > API_VERSION_CHARS_MAX {
            return Err(invalid("customAllocationDefinition needs an apiVersion, for example 2021-10-01."));
        }
        Ok(CustomAllocation { webhook_url: self.unmasked(webhook_url), api_version: api_version.clone() })
    }

    /// A URL that comes back as it was told, masked, is the one that is stored.
    fn unmasked(&self, url: &str) -> Secret {
        let Some(AllocationPolicy::Custom(stored)) = self.old.and_then(|old| old.allocation.as_ref()) else { return Secret::new(url) };
        if masked_url(stored.webhook_url.expose()) == url { stored.webhook_url.clone() } else { Secret::new(url) }
    }
}
