//! Addresses, properties and conditions of the device API over AMQP.
//!
//! Sources: azure-iot-sdk-node provisioning/transport/amqp/src/amqp.ts, azure-iot-sdk-c prov_transport_amqp_common.c,
//! azure-iot-sdk-java internal/contract/amqp, azure-iot-sdk-csharp ProvisioningTransportHandlerAmqp.cs.

/// The application property that says what is asked.
pub const OPERATION_TYPE: &str = "iotdps-operation-type";
/// The application property that names an operation.
pub const OPERATION_ID: &str = "iotdps-operation-id";
/// Register.
pub const REGISTER: &str = "iotdps-register";
/// Tell how an operation stands.
pub const STATUS: &str = "iotdps-get-operationstatus";
/// The link property with the API version.
pub const API_VERSION: &str = "com.microsoft:api-version";

/// Both spellings of "come back in so many seconds": C, Node and Java read the first, .NET the second.
pub const RETRY_AFTER: [&str; 2] = ["retry-after", "Retry-After"];

/// ID scope and registration ID of a link address or a SASL user: `{idScope}/registrations/{registrationId}`, with a scheme and host
/// before it (C) or a slash (Java) or neither (Node, .NET).
pub fn address(text: &str) -> Option<(&str, &str)> {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        None => text.trim_start_matches('/'),
    };
    let mut parts = path.split('/');
    let (scope, word, id) = (parts.next()?, parts.next()?, parts.next()?);
    (word.eq_ignore_ascii_case("registrations") && !scope.is_empty() && parts.next().is_none()).then_some((scope, id))
}

/// The condition for an error's status. Node decides by it alone whether to try again (azure-iot-sdk-node: amqp_common_errors.ts).
pub fn condition(status: u16) -> &'static str {
    match status {
        401 | 403 => "amqp:unauthorized-access",
        404 => "amqp:not-found",
        429 => "com.microsoft:device-container-throttled",
        500.. => "amqp:internal-error",
        _ => "com.microsoft:argument-error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_all_sdks_are_understood() {
        for text in ["0ne1/registrations/d1", "/0ne1/registrations/d1", "amqps://host.example/0ne1/registrations/d1"] {
            assert_eq!(address(text), Some(("0ne1", "d1")), "{text}");
        }
        for text in ["", "/", "devices/d1/messages/events", "$cbs", "amqps://host", "0ne1/registrations/d1/more", "/registrations/d1"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
