//! The resource providers that are served, and always registered (azure-rest-api-specs: Microsoft.Resources, Provider). Terraform's
//! azurerm and `az provider` ask for them before they make anything.

use serde_json::{Value, json};

use crate::{
    SUBSCRIPTION,
    answer::{Answer, Refused},
};

/// Each namespace with its resource types.
const SERVED: [(&str, &[&str]); 2] = [
    ("Microsoft.Devices", &["operations", "checkProvisioningServiceNameAvailability", "ProvisioningServices"]),
    ("Microsoft.Resources", &["tenants", "subscriptions", "resourceGroups", "resources", "providers"]),
];
/// A version of each type that clients write; any other is taken too.
const VERSIONS: [&str; 2] = ["2022-02-05", "2021-10-15"];

/// All providers.
pub fn all() -> Answer {
    Answer::ok(json!({ "value": SERVED.map(describe) }))
}

/// One provider, in any case. That it be registered may be asked of it; it always is.
pub fn one(namespace: &str) -> Result<Answer, Refused> {
    let found = SERVED.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(namespace));
    let why = || {
        let names = SERVED.map(|(own, _)| own).join(" and ");
        let message = format!("There is no resource provider {namespace:.64} here, only {names}.");
        Refused { code: "InvalidResourceNamespace", ..Refused::missing(message) }
    };
    found.map(|found| Answer::ok(describe(found))).ok_or_else(why)
}

fn describe((namespace, types): (&str, &[&str])) -> Value {
    let types = types.iter().map(|kind| json!({ "resourceType": kind, "locations": [], "apiVersions": VERSIONS }));
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/providers/{namespace}"),
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree",
        "resourceTypes": types.collect::<Vec<_>>(),
    })
}
