//! Paths of the management API. Names of providers, types and groups ignore case (azure-mgmt-iothubprovisioningservices 1.1.0).

use http::Method;
use percent_encoding::percent_decode_str;

use crate::{RESOURCE_GROUP, SUBSCRIPTION, answer::Refused};

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The provider's operations.
    Operations,
    /// Whether a name is free.
    CheckName,
    /// All services, of the subscription or the group.
    List,
    /// One service.
    Get(String),
    /// The tiers of a service.
    Skus(String),
    /// All shared access policies of a service, with keys.
    ListKeys(String),
    /// One shared access policy of a service, with keys.
    Key(String, String),
}

impl Route {
    /// The method it takes.
    pub fn method(&self) -> Method {
        match self {
            Self::CheckName | Self::ListKeys(_) | Self::Key(..) => Method::POST,
            _ => Method::GET,
        }
    }

    /// Reads a path.
    pub fn of(path: &str) -> Result<Self, Refused> {
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| unknown())?;
        let segments: Vec<&str> = decoded.trim_matches('/').split('/').collect();
        let is = |segment: &&str, word: &str| segment.eq_ignore_ascii_case(word);
        let (group, rest) = match segments.as_slice() {
            [p, d, operations] if is(p, "providers") && is(d, "Microsoft.Devices") && is(operations, "operations") => {
                return Ok(Self::Operations);
            }
            [s, id, g, group, rest @ ..] if is(s, "subscriptions") && is(g, "resourceGroups") => (Some((*id, *group)), rest),
            [s, id, rest @ ..] if is(s, "subscriptions") => (Some((*id, RESOURCE_GROUP)), rest),
            _ => (None, [].as_slice()),
        };
        let (subscription, group) = group.ok_or_else(unknown)?;
        if !subscription.eq_ignore_ascii_case(SUBSCRIPTION) || !group.eq_ignore_ascii_case(RESOURCE_GROUP) {
            return Err(Refused::missing(format!(
                "This installation has the subscription {SUBSCRIPTION} with the group {RESOURCE_GROUP}."
            )));
        }
        let [p, d, kind, rest @ ..] = rest else { return Err(unknown()) };
        if !is(p, "providers") || !is(d, "Microsoft.Devices") {
            return Err(unknown());
        }
        if is(kind, "checkProvisioningServiceNameAvailability") && rest.is_empty() {
            return Ok(Self::CheckName);
        }
        if !is(kind, "provisioningServices") {
            return Err(unknown());
        }
        match rest {
            [] => Ok(Self::List),
            [name] => Ok(Self::Get((*name).to_owned())),
            [name, skus] if is(skus, "skus") => Ok(Self::Skus((*name).to_owned())),
            [name, keys] if is(keys, "listkeys") => Ok(Self::ListKeys((*name).to_owned())),
            [name, keys, policy, list] if is(keys, "keys") && is(list, "listkeys") => {
                Ok(Self::Key((*name).to_owned(), (*policy).to_owned()))
            }
            _ => Err(unknown()),
        }
    }
}

fn unknown() -> Refused {
    Refused::missing("There is no such path in this management API.".into())
}
