//! The methods and paths of the management API, in one table, for the tests that try each of them. What finds its way is
//! [`Route`](crate::Route); a test holds the two together.

/// A method on a path. In a path `{…}` stands for any one segment.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
}

const fn door(method: &'static str, path: &'static str) -> Door {
    Door { method, path }
}

/// A door of a service: a macro, since texts are put together before a constant is.
macro_rules! of_service {
    ($method:literal, $part:literal) => {
        door(
            $method,
            concat!("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{name}", $part),
        )
    };
}

/// Doors of the log-in are not among them: they need no token and have a room of their own.
const DOORS: &[Door] = &[
    door("GET", "/providers/Microsoft.Devices/operations"),
    door("GET", "/tenants"),
    door("GET", "/subscriptions"),
    door("GET", "/subscriptions/{subscription}"),
    door("GET", "/subscriptions/{subscription}/providers"),
    door("GET", "/subscriptions/{subscription}/providers/{namespace}"),
    door("POST", "/subscriptions/{subscription}/providers/{namespace}/register"),
    door("GET", "/subscriptions/{subscription}/resources"),
    door("GET", "/subscriptions/{subscription}/masterKeys"),
    door("POST", "/subscriptions/{subscription}/masterKeys/rotate"),
    door("POST", "/subscriptions/{subscription}/renewDataKey"),
    door("GET", "/subscriptions/{subscription}/resourceGroups"),
    door("GET", "/subscriptions/{subscription}/resourceGroups/{group}"),
    door("HEAD", "/subscriptions/{subscription}/resourceGroups/{group}"),
    door("PUT", "/subscriptions/{subscription}/resourceGroups/{group}"),
    door("PATCH", "/subscriptions/{subscription}/resourceGroups/{group}"),
    door("DELETE", "/subscriptions/{subscription}/resourceGroups/{group}"),
    door("GET", "/subscriptions/{subscription}/resourceGroups/{group}/resources"),
    door("POST", "/subscriptions/{subscription}/providers/Microsoft.Devices/checkProvisioningServiceNameAvailability"),
    door("GET", "/subscriptions/{subscription}/providers/Microsoft.Devices/IotHubs"),
    door("GET", "/subscriptions/{subscription}/providers/Microsoft.Devices/auditLog"),
    door("GET", "/subscriptions/{subscription}/providers/Microsoft.Devices/auditLog/verify"),
    door("GET", "/subscriptions/{subscription}/providers/Microsoft.Devices/provisioningServices"),
    door("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices"),
    of_service!("GET", ""),
    of_service!("PUT", ""),
    of_service!("PATCH", ""),
    of_service!("DELETE", ""),
    of_service!("GET", "/skus"),
    of_service!("POST", "/listkeys"),
    of_service!("POST", "/keys/{key}/listkeys"),
    of_service!("GET", "/operationresults/{operation}"),
    of_service!("POST", "/renewDataKey"),
    of_service!("GET", "/usage"),
    of_service!("GET", "/credentialPolicies"),
    of_service!("GET", "/credentialPolicies/{policy}"),
    of_service!("PUT", "/credentialPolicies/{policy}"),
    of_service!("DELETE", "/credentialPolicies/{policy}"),
    of_service!("GET", "/attempts/{registrationId}"),
    of_service!("GET", "/certificates"),
    of_service!("GET", "/certificates/{certificate}"),
    of_service!("PUT", "/certificates/{certificate}"),
    of_service!("DELETE", "/certificates/{certificate}"),
    of_service!("POST", "/certificates/{certificate}/generateVerificationCode"),
    of_service!("POST", "/certificates/{certificate}/verify"),
    of_service!("GET", "/privateLinkResources"),
    of_service!("GET", "/privateLinkResources/{linkGroup}"),
    of_service!("GET", "/privateEndpointConnections"),
    of_service!("GET", "/privateEndpointConnections/{connection}"),
    of_service!("PUT", "/privateEndpointConnections/{connection}"),
    of_service!("DELETE", "/privateEndpointConnections/{connection}"),
];

/// All doors, so that a test can try each of them.
pub fn doors() -> &'static [Door] {
    DOORS
}
