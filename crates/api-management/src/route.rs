//! Paths of the management API. Names of providers, types and groups ignore case (azure-mgmt-iothubprovisioningservices 1.1.0).

use percent_encoding::percent_decode_str;

use crate::{SUBSCRIPTION, answer::Refused};

/// Longest resource group name, in characters (Azure Resource Manager: 90).
const GROUP_CHARS_MAX: usize = 90;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The provider's operations.
    Operations,
    /// All directories of users: there is one.
    Tenants,
    /// All subscriptions: there is one.
    Subscriptions,
    /// The subscription.
    Subscription,
    /// The resource groups.
    Groups,
    /// A resource group.
    Group(String),
    /// All resources, of the subscription or of a group: the services.
    Resources(Option<String>),
    /// The resource providers.
    Providers,
    /// A resource provider, by its namespace.
    Provider(String),
    /// The wish that a resource provider be registered.
    Registration(String),
    /// Whether a name is free.
    CheckName,
    /// The hubs, as IoT Hub's own management API lists them.
    Hubs,
    /// Who changed what; usher's own.
    Audit,
    /// Whether the audit log is whole; usher's own.
    AuditProof,
    /// The master keys; usher's own, as the next two.
    MasterKeys,
    /// Everything wrapped under the current master key.
    RotateMasterKey,
    /// A fresh data key for the system's own records.
    RenewSystemDataKey,
    /// All services, of the subscription or of a group.
    Services(Option<String>),
    /// A service, or something of it.
    Service(Place, Part),
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its resource group.
    pub group: String,
    /// Its name.
    pub name: String,
}

/// What of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The service itself.
    Itself,
    /// Its tiers.
    Skus,
    /// All its shared access policies, with keys.
    Keys,
    /// One shared access policy, with keys.
    Key(String),
    /// How an operation ended.
    OperationResult(String),
    /// A fresh data key for its records; usher's own.
    RenewDataKey,
    /// Operations by month; usher's own.
    Usage,
    /// What is kept of a device's attempts to register, by registration ID; usher's own.
    Attempts(String),
    /// Its CA certificates.
    Certificates,
    /// One CA certificate.
    Certificate(String),
    /// A new verification code for a CA certificate.
    VerificationCode(String),
    /// The proof for a CA certificate.
    Verification(String),
    /// Its credential policies; usher's own.
    CredentialPolicies,
    /// One credential policy; usher's own.
    CredentialPolicy(String),
    /// Private links: there are none.
    PrivateLinks,
    /// One private link.
    PrivateLink(String),
    /// Private endpoint connections: there are none.
    PrivateConnections,
    /// One private endpoint connection.
    PrivateConnection(String),
}

impl Route {
    /// Reads a path.
    pub fn of(path: &str) -> Result<Self, Refused> {
        let decoded = percent_decode_str(path).decode_utf8().map_err(|_| unknown())?;
        let segments: Vec<&str> = decoded.trim_matches('/').split('/').collect();
        match segments.as_slice() {
            [p, d, o] if is(p, "providers") && is(d, "Microsoft.Devices") && is(o, "operations") => Ok(Self::Operations),
            [t] if is(t, "tenants") => Ok(Self::Tenants),
            [s] if is(s, "subscriptions") => Ok(Self::Subscriptions),
            [s, id, rest @ ..] if is(s, "subscriptions") && is(id, SUBSCRIPTION) => in_subscription(rest),
            [s, ..] if is(s, "subscriptions") => {
                Err(Refused { code: "SubscriptionNotFound", ..Refused::missing(format!("The one subscription here is {SUBSCRIPTION}.")) })
            }
            _ => Err(unknown()),
        }
    }
}

fn in_subscription(rest: &[&str]) -> Result<Route, Refused> {
    match rest {
        [] => Ok(Route::Subscription),
        [k] if is(k, "masterKeys") => Ok(Route::MasterKeys),
        [k, r] if is(k, "masterKeys") && is(r, "rotate") => Ok(Route::RotateMasterKey),
        [k] if is(k, "renewDataKey") => Ok(Route::RenewSystemDataKey),
        [g] if is(g, "resourceGroups") => Ok(Route::Groups),
        [g, group] if is(g, "resourceGroups") => Ok(Route::Group(group_name(group)?)),
        [g, group, r] if is(g, "resourceGroups") && is(r, "resources") => Ok(Route::Resources(Some(group_name(group)?))),
        [r] if is(r, "resources") => Ok(Route::Resources(None)),
        [p] if is(p, "providers") => Ok(Route::Providers),
        [p, namespace] if is(p, "providers") => Ok(Route::Provider((*namespace).to_owned())),
        [p, namespace, r] if is(p, "providers") && is(r, "register") => Ok(Route::Registration((*namespace).to_owned())),
        [g, group, p, d, rest @ ..] if is(g, "resourceGroups") && is(p, "providers") && is(d, "Microsoft.Devices") => {
            in_group(group_name(group)?, rest)
        }
        [p, d, log, proof] if is(p, "providers") && is(d, "Microsoft.Devices") && is(log, "auditLog") && is(proof, "verify") => {
            Ok(Route::AuditProof)
        }
        [p, d, kind] if is(p, "providers") && is(d, "Microsoft.Devices") => match *kind {
            kind if is(kind, "checkProvisioningServiceNameAvailability") => Ok(Route::CheckName),
            kind if is(kind, "provisioningServices") => Ok(Route::Services(None)),
            kind if is(kind, "IotHubs") => Ok(Route::Hubs),
            kind if is(kind, "auditLog") => Ok(Route::Audit),
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

fn in_group(group: String, rest: &[&str]) -> Result<Route, Refused> {
    match rest {
        [kind] if is(kind, "provisioningServices") => Ok(Route::Services(Some(group))),
        [kind, name, rest @ ..] if is(kind, "provisioningServices") && !name.is_empty() => {
            Ok(Route::Service(Place { group, name: (*name).to_owned() }, part(rest)?))
        }
        _ => Err(unknown()),
    }
}

fn part(rest: &[&str]) -> Result<Part, Refused> {
    let own = |text: &str| text.to_owned();
    match rest {
        [] => Ok(Part::Itself),
        [one] if is(one, "skus") => Ok(Part::Skus),
        [one] if is(one, "listkeys") => Ok(Part::Keys),
        [one] if is(one, "renewDataKey") => Ok(Part::RenewDataKey),
        [one] if is(one, "usage") => Ok(Part::Usage),
        [one] if is(one, "certificates") => Ok(Part::Certificates),
        [one] if is(one, "credentialPolicies") => Ok(Part::CredentialPolicies),
        [one, name] if is(one, "credentialPolicies") => Ok(Part::CredentialPolicy(own(name))),
        [one] if is(one, "privateLinkResources") => Ok(Part::PrivateLinks),
        [one] if is(one, "privateEndpointConnections") => Ok(Part::PrivateConnections),
        [one, group] if is(one, "privateLinkResources") => Ok(Part::PrivateLink(own(group))),
        [one, name] if is(one, "privateEndpointConnections") => Ok(Part::PrivateConnection(own(name))),
        [one, id] if is(one, "attempts") => Ok(Part::Attempts(own(id))),
        [one, id] if is(one, "operationresults") => Ok(Part::OperationResult(own(id))),
        [one, name] if is(one, "certificates") => Ok(Part::Certificate(own(name))),
        [one, name, list] if is(one, "keys") && is(list, "listkeys") => Ok(Part::Key(own(name))),
        [one, name, code] if is(one, "certificates") && is(code, "generateVerificationCode") => Ok(Part::VerificationCode(own(name))),
        [one, name, verify] if is(one, "certificates") && is(verify, "verify") => Ok(Part::Verification(own(name))),
        _ => Err(unknown()),
    }
}

fn is(segment: &str, word: &str) -> bool {
    segment.eq_ignore_ascii_case(word)
}

/// A resource group's name: letters, digits and `- _ . ( )`, not ending in a dot.
fn group_name(text: &str) -> Result<String, Refused> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')');
    let good = (1..=GROUP_CHARS_MAX).contains(&text.chars().count()) && text.chars().all(allowed) && !text.ends_with('.');
    if good {
        return Ok(text.to_owned());
    }
    let why = "A resource group's name has 1 to 90 letters, digits and - _ . ( ), and does not end in a dot.";
    Err(Refused::bad("InvalidResourceGroup", why))
}

fn unknown() -> Refused {
    Refused::missing("There is no such path in this management API.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource_id;

    #[test]
    fn a_resource_id_leads_to_its_service_in_any_case() {
        let id = resource_id("Group-1", "plant");
        let place = Place { group: "Group-1".into(), name: "plant".into() };
        assert_eq!(Route::of(&id), Ok(Route::Service(place.clone(), Part::Itself)));
        let shouted = format!("{}/LISTKEYS/", id.replace("resourceGroups", "RESOURCEGROUPS"));
        assert_eq!(Route::of(&shouted), Ok(Route::Service(place, Part::Keys)));
    }

    #[test]
    fn strange_paths_are_nowhere() {
        for path in ["/", "/subscriptions/other", "/providers/x", "/subscriptions//resourceGroups", "/subscriptions/%ff"] {
            assert!(Route::of(path).is_err_and(|refused| refused.status == 404), "{path}");
        }
        let bad_group = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/a%2Fb?");
        assert!(Route::of(&bad_group).is_err());
        assert_eq!(Route::of(&resource_id("dot.", "plant")).map_err(|refused| refused.status), Err(400));
    }
}
