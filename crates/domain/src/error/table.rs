//! The error table: every refusal and failure that this service tells, in one place.
//!
//! `docs/errors.md` is made of it (`cargo run -p xtask -- errors`), so each row also says when it happens, what to do, and how its
//! digits are known. A row is here only while something tells it.

macro_rules! error_table {
    ($($(#[doc = $when:literal])+ $name:ident = $code:literal, $text:literal, mend $mend:literal, source $source:literal;)*) => {
        /// A row of the error table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u32)]
        pub enum ErrorCode { $($(#[doc = $when])+ $name = $code,)* }

        impl ErrorCode {
            /// All rows, in order.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The message used where a check gives no closer one.
            pub const fn text(self) -> &'static str {
                match self { $(ErrorCode::$name => $text,)* }
            }

            /// When it happens.
            pub const fn when(self) -> &'static str {
                match self { $(ErrorCode::$name => concat!($($when),+),)* }
            }

            /// What to do about it.
            pub const fn mend(self) -> &'static str {
                match self { $(ErrorCode::$name => $mend,)* }
            }

            /// How its digits and meaning are known.
            pub const fn source(self) -> &'static str {
                match self { $(ErrorCode::$name => $source,)* }
            }

            /// The row's name, sent as `x-ms-error-code`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorCode::$name => stringify!($name),)* }
            }

            /// The row with this code.
            pub const fn from_code(code: u32) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$name),)* _ => None }
            }
        }
    };
}

// "DPS" in a source is MicrosoftDocs/azure-docs: articles/iot-dps/how-to-troubleshoot-dps.md, the table of common error codes, which
// gives three digits and no more; "digits ours" says that no source for the last three was found.
error_table! {
    /// The request cannot be read, or breaks a rule that no closer row names.
    BadRequest = 400000, "The request is malformed.",
        mend "Correct what the message names.", source "DPS 400; digits ours";
    /// The `api-version` query parameter is missing or empty. Any value is taken.
    ApiVersionMissing = 400001, "The api-version query parameter is missing.",
        mend "Add it, for example `api-version=2021-10-01`.", source "DPS 400; digits ours";
    /// The body is not the JSON that the operation takes, or a member breaks a rule of its model.
    InvalidBody = 400004, "The request body is not valid.",
        mend "Correct the member that the message names.", source "DPS 400 (\"cannot be parsed, or the object cannot be validated\"); digits ours";
    /// A registration ID, group ID, device ID or ID scope breaks the rules for IDs, or the body names another ID than the path.
    InvalidId = 400005, "The identifier is not valid.",
        mend "Use 1 to 128 letters, digits and - . _ :, ending in a letter, digit or dash.", source "DPS 400; digits ours";
    /// The device sent a certificate signing request that cannot be certified: it cannot be read, its own key did not sign it, its common
    /// name is not the registration ID, its key is of a type that the credential policy does not allow, or the enrollment names no policy.
    CsrRefused = 400006, "The certificate signing request was refused.",
        mend "Mend what the message names: the device's request, or the enrollment's credentialPolicyName.",
        source "rules: azure-docs: articles/iot-hub/concept-certificate-issuance.md; digits ours";
    /// Ends a registration: the custom allocation webhook refused the device, failed, or is not asked by this server.
    CustomAllocationFailed = 400207, "Custom allocation failed.",
        mend "See the webhook's log, or choose another allocation policy for the enrollment.",
        source "azure-docs: articles/iot-dps/tutorial-custom-allocation-policies.md; azure-sdk-for-c: the tests of az_iot_provisioning_client";
    /// Ends a registration or refuses it: no linked hub may take the device.
    NoHubAvailable = 400208, "No linked hub is available for this device.",
        mend "Link a hub, give it a weight above 0, or name another one in the enrollment.",
        source "as CustomAllocationIotHubNotSpecified in azure-docs: tutorial-custom-allocation-policies.md; azure-iot-sdk-c: prov_device_ll_client.c (HUB_NOT_SPECIFIED)";
    /// Ends a registration: the hub, or the allocation webhook, refused the service's credentials.
    HubUnauthorized = 400209, "The hub refused the provisioning service.",
        mend "Link the hub again with a valid connection string.",
        source "as CustomAllocationUnauthorizedAccess in azure-docs: tutorial-custom-allocation-policies.md; azure-iot-sdk-c: prov_device_ll_client.c (UNAUTHORIZED)";
    /// Ends a registration: the hub will not take the device, by a quota or a rule of its own.
    HubRejected = 400210, "The hub rejected the device.",
        mend "See the hub's reason in the message.", source "ours";
    /// Ends a registration: the hub could not be reached for longer than an operation may last, ten minutes.
    HubUnreachable = 400211, "The hub could not be reached.",
        mend "See that the hub runs; the device may register again.", source "ours";
    /// Ends a registration: the certificate authority did not certify the device's key, or could not be reached for ten minutes.
    CertificateNotIssued = 400212, "No certificate was issued.",
        mend "See the reason in the message; mend the credential policy's authority, then let the device register again.", source "ours";
    /// The device did not prove who it is, the operator's token does not open the service, or its policy lacks the right.
    Unauthorized = 401000, "Unauthorized",
        mend "Look for the tracking ID in the server's log, which names the failed check and the remedy. A TPM's first request gets 401 too, as a challenge.",
        source "DPS 401; digits: azure-docs issue 43157 (MQTT), azure-iot-sdk-node issue 869 (HTTPS)";
    /// The device's certificate did not prove who it is, or no CA certificate is enrolled that would.
    InvalidCertificate = 401002, "Invalid certificate.",
        mend "Look for the tracking ID in the server's log, which names the failed check and the remedy.",
        source "azure-sdk-for-c: az_iot_provisioning_client and its tests; azure-iot-sdk-c issue 2270";
    /// The service holds as many enrollments or groups of the kind, or registrations, as it may.
    QuotaExceeded = 403002, "The service holds as many of these as it may.",
        mend "Delete some, or raise the service's limit where it can be raised (limits.md).",
        source "status: azure-iot-sdk-node, rest_api_client.ts, where 403 is TooManyDevicesError; digits ours";
    /// Nothing is served at this path.
    PathNotFound = 404001, "No such path.",
        mend "Compare the path with docs/openapi.json.", source "DPS 404; digits ours";
    /// There is no such enrollment, group or registration.
    NotFound = 404201, "The resource was not found.",
        mend "Check the ID and the service's host name; a device that is missing registers first.",
        source "azure-iot-sdk-csharp: e2e/test/provisioning/ProvisioningE2ETests.cs; azure-docs issue 57082";
    /// This registration has no such operation.
    OperationNotFound = 404202, "The operation was not found.",
        mend "Register again.", source "azure-docs issue 57082, which shows the digits and not their case";
    /// The path is there and does not take this method, or its ID is missing.
    MethodNotAllowed = 405001, "The method is not allowed on this path.",
        mend "Use a method of the `Allow` header.", source "DPS 405; digits ours";
    /// The record was to be created and exists already.
    Conflict = 409201, "The record exists already.",
        mend "Update it instead, or choose another ID.", source "DPS 409; digits ours";
    /// Another change to the same record, or to a list that records share, was under way.
    ConcurrentChange = 409203, "Precondition failed.",
        mend "Send the request again.", source "azure-iot-sdk-c: tests/common_prov_e2e/common_prov_e2e.c";
    /// The ETag given is not the record's, or there is no record to have one.
    PreconditionFailed = 412001, "The ETag does not match the record's.",
        mend "Read the record again and repeat the change on what it says now.", source "DPS 412; digits ours";
    /// The body is larger than the limit (limits.md).
    BodyTooLarge = 413001, "The message is larger than the limit.",
        mend "Send less.", source "RFC 9110 section 15.5.14; digits ours";
    /// The body's content type is not JSON.
    UnsupportedMediaType = 415001, "The content type must be application/json.",
        mend "Send `Content-Type: application/json`.", source "DPS 415; digits ours";
    /// A rate limit of the service is used up (limits.md).
    Throttled = 429001, "Too many requests.",
        mend "Wait as long as `Retry-After` says (`retry-after` over MQTT and AMQP), then go on with back-off and jitter.",
        source "DPS 429; digits ours";
    /// A fault of ours.
    Internal = 500001, "Internal error.",
        mend "Look for the tracking ID in the server's log and report the fault.", source "DPS 500; digits ours";
    /// The store cannot be reached now.
    Unavailable = 503001, "The service is temporarily unavailable.",
        mend "Try again after `Retry-After`; the server's log names the cause.", source "RFC 9110 section 15.6.4; digits ours";
}

impl ErrorCode {
    /// The six-digit number.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        (self as u32 / 1000) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_carries_its_status_and_is_found_again() {
        for row in ErrorCode::ALL {
            assert!((400..=599).contains(&row.status()), "{row:?}");
            assert_eq!(ErrorCode::from_code(row.code()), Some(*row));
        }
    }

    #[test]
    fn rows_stand_in_order_and_say_everything() {
        assert!(ErrorCode::ALL.is_sorted_by_key(|row| row.code()));
        for row in ErrorCode::ALL {
            assert!(row.when().ends_with('.') && row.mend().ends_with('.') && !row.source().is_empty(), "{row:?}");
        }
    }
}
