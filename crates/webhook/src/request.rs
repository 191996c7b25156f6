//! The request document (MicrosoftDocs/azure-docs: articles/iot-dps/concepts-custom-allocation.md, "Custom allocation policy request").

use serde::Serialize;
use serde_json::Value;
use usher_domain::{
    document::{EnrollmentDocument, TpmDocument},
    enrollment::CertificateInfo,
};

/// What a webhook is asked. Exactly one of the two enrollments is there, without its keys.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationRequest {
    /// The device's own enrollment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub individual_enrollment: Option<EnrollmentDocument>,
    /// The group that admitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group: Option<EnrollmentDocument>,
    /// The device.
    pub device_runtime_context: DeviceRuntimeContext,
    /// The host names to choose from.
    pub linked_hubs: Vec<String>,
}

/// The device as it registers.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRuntimeContext {
    /// As the device spells it.
    pub registration_id: String,
    /// Where it is now, if it was assigned before. The samples' spelling; a table of the documentation has another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_iot_hub_host_name: Option<String>,
    /// Its ID there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_device_id: Option<String>,
    /// Its certificate, if it proved itself by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509Context>,
    /// An empty object, if it proved itself by a key: keys are never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<Value>,
    /// Its TPM's public keys, if it proved itself by those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmDocument>,
    /// What it sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// A device's certificate.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Context {
    /// DER in base64: what functions in the field read.
    pub client_certificate: String,
    /// Its fields, named as in a registration.
    pub certificate_info: CertificateInfo,
    /// The enrolled CA that vouched for it, for a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate_info: Option<CertificateInfo>,
}
