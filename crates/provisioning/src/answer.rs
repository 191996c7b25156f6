//! What a device is told about its registration, in the wire's documents.

use usher_domain::{
    document::{
        OperationStatusDocument, RegistrationStateDocument, SymmetricKeyRegistrationDocument, TpmRegistrationDocument,
        X509RegistrationDocument,
    },
    enrollment::EnrollmentRef,
    registration::{ProofSummary, Registration, State},
};

use crate::tpm;

/// The answer to register and to a poll. `etag` is the record's, in its wire form.
///
/// A state is always included: .NET reads it on every final answer (azure-iot-sdk-csharp: ProvisioningTransportHandlerAmqp.cs), and
/// Java demands its `registrationId` and `status` whenever it is there (azure-iot-sdk-java: RegistrationOperationStatusParser.java).
pub fn operation_status(registration: &Registration, etag: &str) -> OperationStatusDocument {
    OperationStatusDocument {
        operation_id: registration.state.operation_id().to_string(),
        status: registration.state.word().to_owned(),
        registration_state: Some(RegistrationStateDocument {
            issued_certificate_chain: issued_chain(registration),
            ..device_state(registration, etag)
        }),
    }
}

/// The certificate that this operation issued. A later one that issues none has none to tell.
fn issued_chain(registration: &Registration) -> Option<Vec<String>> {
    let State::Assigned { operation_id, .. } = &registration.state else { return None };
    let held = registration.certificate.as_ref().filter(|held| held.operation_id == *operation_id)?;
    Some(held.chain.certificates.clone())
}

/// The registration as the device is told it, with the part of its attestation.
pub fn device_state(registration: &Registration, etag: &str) -> RegistrationStateDocument {
    let mut document = RegistrationStateDocument {
        registration_id: registration.registration_id.to_string(),
        status: registration.state.word().to_owned(),
        ..RegistrationStateDocument::default()
    };
    if matches!(registration.state, State::Assigning { .. }) {
        return document;
    }
    document.created_date_time_utc = Some(registration.created_at);
    document.last_updated_date_time_utc = Some(registration.updated_at);
    document.etag = Some(etag.to_owned());
    match &registration.state {
        State::Assigned { assignment, substatus, .. } => {
            document.assigned_hub = Some(assignment.hub.to_string());
            document.device_id = Some(assignment.device_id.to_string());
            document.substatus = Some(substatus.word().to_owned());
            document.payload.clone_from(&assignment.payload);
            describe_proof(registration, &mut document);
        }
        State::Failed { error_code, error_message, .. } => {
            document.error_code = Some(*error_code);
            document.error_message = Some(error_message.clone());
        }
        State::Assigning { .. } | State::Disabled { .. } => {}
    }
    document
}

fn describe_proof(registration: &Registration, document: &mut RegistrationStateDocument) {
    let enrollment_group_id = match &registration.enrollment {
        EnrollmentRef::Group(id) => Some(id.to_string()),
        EnrollmentRef::Individual => None,
    };
    match &registration.proof {
        ProofSummary::SymmetricKey => document.symmetric_key = Some(SymmetricKeyRegistrationDocument { enrollment_group_id }),
        ProofSummary::X509 { leaf, signer } => {
            document.x509 = Some(X509RegistrationDocument {
                certificate_info: (**leaf).clone(),
                enrollment_group_id,
                signing_certificate_info: signer.as_deref().cloned(),
            });
        }
        ProofSummary::Tpm => document.tpm = Some(TpmRegistrationDocument { authentication_key: tpm::hub_blob(registration) }),
    }
}
