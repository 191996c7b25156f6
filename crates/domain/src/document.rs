//! The JSON documents of the service API and the device API (azure-rest-api-specs: DeviceProvisioningServices/{service,device}/models.tsp).
//!
//! These are the wire's shapes, lenient in what they take: explicit nulls and unknown members pass. What they mean is decided when
//! they become an [`Enrollment`](crate::enrollment::Enrollment).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Timestamp,
    enrollment::{CertificateInfo, ProvisioningStatus, ReprovisionPolicy},
};

/// An individual enrollment or an enrollment group. One shape serves both: a group has `enrollmentGroupId` where an individual
/// enrollment has `registrationId`, `deviceId`, `registrationState` and `optionalDeviceInformation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnrollmentDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_policy_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationStateDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional_device_information: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<CapabilitiesDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iot_hub_host_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwinDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provisioning_status: Option<ProvisioningStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reprovision_policy: Option<ReprovisionPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iot_hubs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_allocation_definition: Option<CustomAllocationDocument>,
}

/// An attestation mechanism. Only the member named by `type` means anything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "IncomingAttestation")]
pub struct AttestationDocument {
    /// `tpm`, `x509`, `symmetricKey` or `none`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeyDocument>,
    /// The maker's word for the endorsement key, read from `tpm.endorsementKeyCertificate` and checked once; never told.
    #[serde(skip)]
    pub endorsement_key_certificate: Option<EndorsementKeyCertificateDocument>,
}

/// The certificate that a TPM's maker gave for its endorsement key, and whom to believe about it. This service's own, not the cloud's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndorsementKeyCertificateDocument {
    /// PEM of the certificate, then of any intermediates; or base64 of the certificate's DER.
    pub certificate: String,
    /// PEM of the CAs that the operator trusts for this.
    pub authorities: String,
}

/// [`AttestationDocument`] as it is sent. Only an enrollment's `tpm` may hold a certificate: to the same keys in a device's register
/// body, it is an unknown member like any other.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IncomingAttestation {
    #[serde(rename = "type")]
    kind: String,
    tpm: Option<IncomingTpm>,
    x509: Option<X509Document>,
    symmetric_key: Option<SymmetricKeyDocument>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct IncomingTpm {
    #[serde(flatten)]
    keys: TpmDocument,
    endorsement_key_certificate: Option<EndorsementKeyCertificateDocument>,
}

impl From<IncomingAttestation> for AttestationDocument {
    fn from(sent: IncomingAttestation) -> Self {
        let (tpm, endorsement_key_certificate) = sent.tpm.map_or((None, None), |tpm| (Some(tpm.keys), tpm.endorsement_key_certificate));
        Self { kind: sent.kind, tpm, x509: sent.x509, symmetric_key: sent.symmetric_key, endorsement_key_certificate }
    }
}

/// TPM keys, base64.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TpmDocument {
    pub endorsement_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<String>,
}

/// Symmetric keys, base64. No `Debug`: these are secrets.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKeyDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_key: Option<String>,
}

impl std::fmt::Debug for SymmetricKeyDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SymmetricKeyDocument(…)")
    }
}

/// X.509 attestation in one of three forms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct X509Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<CertificatePairDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificates: Option<CertificatePairDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_references: Option<CaReferencesDocument>,
}

/// Primary and secondary certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatePairDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<CertificateDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<CertificateDocument>,
}

/// A certificate: sent as `certificate`, returned as `info`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateDocument {
    /// PEM, base64 of DER, or base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
}

/// Names of uploaded CAs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CaReferencesDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
}

/// Device capabilities.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CapabilitiesDocument {
    pub iot_edge: bool,
}

/// An initial twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitialTwinDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<InitialTwinProperties>,
}

/// The properties of an initial twin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InitialTwinProperties {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<Map<String, Value>>,
}

/// A webhook. No `Debug` of the URL: it may carry a function key.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomAllocationDocument {
    pub webhook_url: String,
    pub api_version: String,
}

impl std::fmt::Debug for CustomAllocationDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustomAllocationDocument(…, {})", self.api_version)
    }
}

/// A registration as the service API and, with the attestation's part, the device API tell it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegistrationStateDocument {
    pub registration_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substatus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmRegistrationDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509RegistrationDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeyRegistrationDocument>,
    /// DER in base64, leaf first, root last; told with an operation that issued it, and never in a look-up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_certificate_chain: Option<Vec<String>>,
}

/// The TPM part of a registration state.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TpmRegistrationDocument {
    /// The activation blob that carries the hub's key, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_key: Option<String>,
}

impl std::fmt::Debug for TpmRegistrationDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TpmRegistrationDocument(…)")
    }
}

/// The X.509 part of a registration state: complete or left out (the Java SDK throws on a missing member).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509RegistrationDocument {
    pub certificate_info: CertificateInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate_info: Option<CertificateInfo>,
}

/// The symmetric key part of a registration state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SymmetricKeyRegistrationDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
}

/// The answer to register and to a poll.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatusDocument {
    pub operation_id: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationStateDocument>,
}

/// The body of register. Who the device is comes from its connection, never from here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// A PKCS#10 certificate signing request, DER in base64 without PEM lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr: Option<String>,
}

/// A bulk request for either kind of enrollment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BulkDocument {
    pub enrollments: Option<Vec<EnrollmentDocument>>,
    pub enrollment_groups: Option<Vec<EnrollmentDocument>>,
    pub mode: String,
}

/// The outcome of a bulk request; `200` even where items failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BulkResultDocument {
    pub is_successful: bool,
    pub errors: Vec<BulkErrorDocument>,
}

/// One failed item of a bulk request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BulkErrorDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    pub error_code: u32,
    pub error_status: String,
}

/// The body of a query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryDocument {
    pub query: Option<String>,
}
