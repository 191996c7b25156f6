//! Writing down what a webhook is asked, so that any node can ask it. Pure.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use usher_attestation::Means;
use usher_domain::{
    HubName,
    allocation_question::{Question, Reassign},
    document::TpmDocument,
    enrollment::{CustomAllocation, Subject},
};
use usher_registry::enrollment_document;
use usher_webhook::{AllocationRequest, DeviceRuntimeContext, X509Context};

use crate::draft::Case;

/// The question to `webhook` which of `hubs` the device goes to.
pub fn question(case: &Case<'_>, webhook: CustomAllocation, hubs: Vec<HubName>, rule: Reassign) -> Question {
    let document = enrollment_document(case.enrollment, case.enrollment_etag);
    let (individual_enrollment, enrollment_group) = match case.enrollment.subject {
        Subject::Individual { .. } => (Some(document), None),
        Subject::Group { .. } => (None, Some(document)),
    };
    let linked_hubs = hubs.iter().map(ToString::to_string).collect();
    let request = AllocationRequest { individual_enrollment, enrollment_group, device_runtime_context: context(case), linked_hubs };
    // Its members are texts, numbers and JSON: it always serialises.
    let request = serde_json::to_value(&request).unwrap_or_default();
    Question { webhook, request, hubs, rule, failures: 0 }
}

fn context(case: &Case<'_>) -> DeviceRuntimeContext {
    let previous = case.previous();
    let mut context = DeviceRuntimeContext {
        registration_id: case.proven.registration_id().to_string(),
        current_iot_hub_host_name: previous.map(|place| place.hub.to_string()),
        current_device_id: previous.map(|place| place.device_id.to_string()),
        payload: case.document.payload.clone(),
        ..DeviceRuntimeContext::default()
    };
    match case.proven.means() {
        Means::SymmetricKey { .. } => context.symmetric_key = Some(Value::Object(Map::new())),
        Means::X509 { leaf, signer, .. } => {
            context.x509 = Some(X509Context {
                client_certificate: case.claim.evidence.certificates.first().map(|der| STANDARD.encode(der)).unwrap_or_default(),
                certificate_info: (**leaf).clone(),
                signing_certificate_info: signer.as_deref().cloned(),
            });
        }
        Means::Tpm { claim } => {
            context.tpm = Some(TpmDocument {
                endorsement_key: STANDARD.encode(claim.endorsement_key().to_bytes()),
                storage_root_key: Some(STANDARD.encode(claim.storage_root_key().to_bytes())),
            });
        }
    }
    context
}
