//! The certificate signing request that may come with a registration: whether it is one that the enrollment's credential policy certifies.
//! Nothing is signed here; see [`crate::certify`].

use usher_attestation::SigningRequest;
use usher_domain::{
    ErrorCode, ServiceError,
    certification::{Certification, Stage},
    credential_policy::HubAuthentication,
    document::RegisterDocument,
    enrollment::Enrollment,
    hub_device::DeviceCredential,
    registration::{Operation, Registration},
};
use usher_registry::Registry;

use crate::{claim::Claim, denial::Denial, story::Story};

/// Seconds after which a device with another request asks again.
const OTHER_REQUEST_RETRY_S: u32 = 5;

/// What is to be certified for a device that registers; `None` where it asks for no certificate.
pub async fn wanted(
    registry: &Registry,
    claim: &Claim,
    document: &RegisterDocument,
    enrollment: &Enrollment,
    story: &mut Story,
) -> Result<Option<Certification>, Denial> {
    let Some(text) = sent(document) else { return Ok(None) };
    let name = enrollment
        .credential_policy
        .as_deref()
        .ok_or_else(|| refused("csr.policy", "The enrollment issues no certificates: it names no credential policy.", SET_POLICY))?;
    let policy = registry.credential_policy(name).await?;
    let policy = policy.ok_or_else(|| {
        refused("csr.policy", &format!("The credential policy '{name}' that the enrollment names is not there."), MAKE_POLICY)
    })?;
    let request = read(text)?;
    if request.common_name() != Some(claim.claimed_id.as_str()) {
        return Err(refused("csr.commonName", "The request's common name is not the registration ID.", NAME_IT));
    }
    if !policy.value.key_types.contains(&request.key_type()) {
        let allowed: Vec<&str> = policy.value.key_types.iter().map(|kind| kind.word()).collect();
        let why = format!("The request's key is {}; the credential policy allows {}.", request.key_type(), allowed.join(", "));
        return Err(refused("csr.key", &why, ALLOW_KEY));
    }
    let hub_authentication = policy.value.hub_authentication;
    let device_id = enrollment.device_id_for(&claim.claimed_id).map(|id| id.to_string()).unwrap_or_default();
    if hub_authentication == HubAuthentication::CertificateAuthority && device_id != claim.claimed_id.as_str() {
        let why = "The enrollment gives the device another ID on its hub, which would not find it in the certificate.";
        return Err(refused("csr.deviceId", why, SAME_ID));
    }
    story.trail.passed(
        "csr",
        format!(
            "The signing request is signed by its own {} key, for this registration ID; the policy '{name}' allows it.",
            request.key_type()
        ),
    );
    let stage = Stage::Wanted { policy: policy.value.name, request: base64_of(&request) };
    Ok(Some(Certification { request_sha256: request.sha256(), hub_authentication, stage }))
}

/// Lets a device join the operation under way only for the same request: it would be given a certificate for another key otherwise.
pub fn joins(document: &RegisterDocument, operation: &Operation) -> Result<(), Denial> {
    let Some(text) = sent(document) else { return Ok(()) };
    let sha256 = read(text)?.sha256();
    if operation.certification.as_ref().is_some_and(|certification| certification.request_sha256 == sha256) {
        return Ok(());
    }
    let why = "An operation of this device is under way for another signing request. Send this one again when that has ended.";
    Err(Denial::open("csr.other", ServiceError::throttled(why, OTHER_REQUEST_RETRY_S)))
}

/// Puts the certification into a drafted operation. A device that was issued a certificate and now sends no request keeps it, as long
/// as its enrollment issues any: it registers only to learn its hub. TPMs do not: SDKs use the key that the answer carries.
pub fn apply(operation: &mut Operation, wanted: Option<Certification>, enrollment: &Enrollment, old: Option<&Registration>) {
    if let Some(certification) = wanted {
        operation.certification = Some(Box::new(certification));
        return;
    }
    let held = old.and_then(|old| old.certificate.as_ref()).filter(|_| enrollment.credential_policy.is_some());
    if let (Some(held), false) = (held, matches!(operation.device.credential, DeviceCredential::TpmKeys { .. })) {
        operation.device.credential = match held.hub_authentication {
            HubAuthentication::Thumbprint => {
                DeviceCredential::Thumbprints { primary: held.chain.sha256_thumbprint.clone(), secondary: None }
            }
            HubAuthentication::CertificateAuthority => DeviceCredential::CertificateAuthority,
        };
    }
}

const SET_POLICY: &str = "Set credentialPolicyName in the enrollment, or let the device send no csr.";
const MAKE_POLICY: &str = "Make the policy (usher ca create), or correct the enrollment's credentialPolicyName.";
const NAME_IT: &str = "Make the request with the subject CN={registration ID}, spelled as the device connects.";
const ALLOW_KEY: &str = "Make the request with a key of an allowed type, or allow this type in the policy (usher ca update).";
const SAME_ID: &str =
    "Leave deviceId out of the enrollment, or let hubs tell devices by thumbprint (usher ca update --hub-authentication).";
const MEND_REQUEST: &str = "Correct the device's signing request: base64 of PKCS#10 in DER, without PEM lines.";

fn sent(document: &RegisterDocument) -> Option<&str> {
    document.csr.as_deref().filter(|text| !text.trim().is_empty())
}

fn read(text: &str) -> Result<SigningRequest, Denial> {
    SigningRequest::from_base64(text)
        .map_err(|why| refused("csr.form", &format!("The certificate signing request is refused: {why}."), MEND_REQUEST))
}

/// The device is told all of it: it has proved itself, and a developer has to mend it.
fn refused(check: &str, why: &str, mend: &str) -> Denial {
    Denial { mend: mend.into(), ..Denial::open(check, ServiceError::with(ErrorCode::CsrRefused, why)) }
}

fn base64_of(request: &SigningRequest) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(request.der())
}
