//! From records to the documents that operators are told.

use usher_domain::{
    document::{
        AttestationDocument, CaReferencesDocument, CapabilitiesDocument, CertificateDocument, CertificatePairDocument,
        CustomAllocationDocument, EnrollmentDocument, InitialTwinDocument, InitialTwinProperties, RegistrationStateDocument,
        SymmetricKeyDocument, TpmDocument, X509Document,
    },
    enrollment::{AllocationPolicy, Attestation, CertificatePair, Enrollment, StoredCertificate, Subject, SymmetricKeys, X509Attestation},
    hub_device::InitialTwin,
    registration::{Registration, State},
};
use usher_records::Versioned;

use crate::etag::wire_etag;

/// Whether symmetric keys are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// To those who may write enrollments.
    Shown,
    /// GET and query leave them out (MicrosoftDocs/azure-docs: concepts-custom-allocation.md, sample request).
    Hidden,
}

/// An enrollment as a webhook is shown it: without symmetric keys and without what stands in the query of a webhook's URL.
pub fn enrollment_document(record: &Enrollment, etag: Option<u64>) -> EnrollmentDocument {
    EnrollmentDocument { etag: etag.map(wire_etag), ..enrollment(record, 0, Keys::Hidden) }
}

/// An enrollment. The registration of an individual enrollment's device is for the caller to add.
pub(crate) fn enrollment(record: &Enrollment, etag: u64, keys: Keys) -> EnrollmentDocument {
    let mut document = EnrollmentDocument {
        attestation: Some(attestation(&record.attestation, keys)),
        capabilities: Some(CapabilitiesDocument { iot_edge: record.iot_edge }),
        iot_hub_host_name: record.iot_hub_host_name.as_ref().map(ToString::to_string),
        credential_policy_name: record.credential_policy.clone(),
        initial_twin: record.initial_twin.as_ref().map(initial_twin),
        etag: Some(wire_etag(etag)),
        provisioning_status: Some(record.status),
        reprovision_policy: record.reprovision,
        created_date_time_utc: serde_json::to_value(record.created_at).ok(),
        last_updated_date_time_utc: serde_json::to_value(record.updated_at).ok(),
        allocation_policy: record.allocation.as_ref().map(|policy| policy.name().to_owned()),
        iot_hubs: (!record.hubs.is_empty()).then(|| record.hubs.iter().map(ToString::to_string).collect()),
        custom_allocation_definition: record.allocation.as_ref().and_then(custom_allocation),
        ..EnrollmentDocument::default()
    };
    match &record.subject {
        Subject::Individual { registration_id, device_id, device_information } => {
            document.registration_id = Some(registration_id.to_string());
            document.device_id = device_id.as_ref().map(ToString::to_string);
            document.optional_device_information.clone_from(device_information);
        }
        Subject::Group { group_id } => document.enrollment_group_id = Some(group_id.to_string()),
    }
    document
}

/// An attestation. Certificates are told by their fields alone.
pub(crate) fn attestation(record: &Attestation, keys: Keys) -> AttestationDocument {
    let mut document = AttestationDocument::default();
    match record {
        Attestation::SymmetricKey(pair) => {
            document.kind = "symmetricKey".into();
            document.symmetric_key = (keys == Keys::Shown).then(|| symmetric_keys(pair));
        }
        Attestation::X509(x509) => {
            document.kind = "x509".into();
            document.x509 = Some(x509_document(x509));
        }
        Attestation::Tpm(tpm) => {
            document.kind = "tpm".into();
            let (endorsement_key, storage_root_key) = (tpm.endorsement_key.clone(), tpm.storage_root_key.clone());
            document.tpm = Some(TpmDocument { endorsement_key, storage_root_key });
        }
    }
    document
}

fn symmetric_keys(keys: &SymmetricKeys) -> SymmetricKeyDocument {
    let exposed = |key: &usher_domain::Secret| Some(key.expose().to_owned());
    SymmetricKeyDocument { primary_key: exposed(&keys.primary), secondary_key: exposed(&keys.secondary) }
}

fn x509_document(record: &X509Attestation) -> X509Document {
    let mut document = X509Document::default();
    match record {
        X509Attestation::Client(pair) => document.client_certificates = Some(certificates(pair)),
        X509Attestation::Signing(pair) => document.signing_certificates = Some(certificates(pair)),
        X509Attestation::CaReferences(names) => {
            document.ca_references = Some(CaReferencesDocument { primary: names.primary.clone(), secondary: names.secondary.clone() });
        }
    }
    document
}

fn certificates(pair: &CertificatePair) -> CertificatePairDocument {
    let told = |stored: &StoredCertificate| CertificateDocument { certificate: None, info: serde_json::to_value(&stored.info).ok() };
    CertificatePairDocument { primary: pair.primary.as_ref().map(told), secondary: pair.secondary.as_ref().map(told) }
}

fn initial_twin(twin: &InitialTwin) -> InitialTwinDocument {
    let properties = InitialTwinProperties { desired: Some(twin.desired.clone()) };
    InitialTwinDocument { tags: Some(twin.tags.clone()), properties: Some(properties) }
}

fn custom_allocation(policy: &AllocationPolicy) -> Option<CustomAllocationDocument> {
    let AllocationPolicy::Custom(custom) = policy else { return None };
    Some(CustomAllocationDocument { webhook_url: masked_url(custom.webhook_url.expose()), api_version: custom.api_version.clone() })
}

/// A webhook's URL without what stands in its query, where function keys travel.
pub(crate) fn masked_url(url: &str) -> String {
    match url.split_once('?') {
        Some((address, query)) if !query.is_empty() => format!("{address}?****"),
        _ => url.to_owned(),
    }
}

/// A registration as the service API tells it (azure-rest-api-specs: DeviceRegistrationState).
pub(crate) fn registration_state(record: &Versioned<Registration>) -> RegistrationStateDocument {
    let Versioned { value, etag } = record;
    let mut document = RegistrationStateDocument {
        registration_id: value.registration_id.to_string(),
        created_date_time_utc: Some(value.created_at),
        last_updated_date_time_utc: Some(value.updated_at),
        status: value.state.word().to_owned(),
        etag: Some(wire_etag(*etag)),
        ..RegistrationStateDocument::default()
    };
    // Where a device is stays true while a later attempt runs, fails or is refused, and an operator needs it to clean up.
    if let Some(place) = value.state.assignment() {
        document.assigned_hub = Some(place.hub.to_string());
        document.device_id = Some(place.device_id.to_string());
        document.payload.clone_from(&place.payload);
    }
    match &value.state {
        State::Assigned { substatus, .. } => document.substatus = Some(substatus.word().to_owned()),
        State::Failed { error_code, error_message, .. } => {
            document.error_code = Some(*error_code);
            document.error_message = Some(error_message.clone());
        }
        State::Assigning { .. } | State::Disabled { .. } => {}
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_function_key_is_masked() {
        assert_eq!(masked_url("https://f.example/api/x?code=secret&b=1"), "https://f.example/api/x?****");
        assert_eq!(masked_url("https://f.example/api/x"), "https://f.example/api/x");
    }
}
