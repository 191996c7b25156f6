//! CA certificates of a service: uploaded, verified by proof of possession, replaced, deleted
//! (azure-rest-api-specs: CertificateResponse, VerificationCodeResponse).

use bytes::Bytes;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};
use usher_attestation::Certificate;
use usher_domain::ca_certificate::CaCertificate;
use usher_records::Versioned;
use usher_registry::IfMatch;

use crate::{
    ManagementApi,
    answer::{Answer, Refused},
    describe, resource_id_of,
    route::Place,
    write::if_match,
};

/// A body with a certificate. Older API versions write its members at the top (azure-mgmt-iothubprovisioningservices 1.1.0), newer ones
/// under `properties`; verification always at the top.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CertificateBody {
    certificate: Option<String>,
    is_verified: Option<bool>,
    properties: Option<Inner>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inner {
    certificate: Option<String>,
    is_verified: Option<bool>,
}

impl ManagementApi {
    /// All certificates of a service.
    pub(crate) async fn certificates(&self, place: &Place) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let id = resource_id_of(&tenant.service);
        let all = tenant.registry.ca_certificates().await?;
        Ok(Answer::ok(json!({ "value": all.iter().map(|found| describe_certificate(&id, found, Code::Hidden)).collect::<Vec<_>>() })))
    }

    /// One certificate.
    pub(crate) async fn certificate(&self, place: &Place, name: &str) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let found = tenant.registry.ca_certificate(name).await?;
        let found = found.ok_or_else(|| Refused::missing(format!("There is no certificate {name:.64}.")))?;
        Ok(Answer::ok(describe_certificate(&resource_id_of(&tenant.service), &found, Code::Hidden)))
    }

    /// Uploads or replaces a certificate.
    pub(crate) async fn put_certificate(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let (certificate, vouched) = read(request.body())?;
        let now = self.ports.clock.now();
        // Answered with 200 for a new one too: the SDK takes nothing else (azure-mgmt-iothubprovisioningservices 1.1.0:
        // _dps_certificate_operations.py).
        let (written, _) = tenant.registry.put_ca_certificate(name, &certificate, vouched, if_match(request), now).await?;
        Ok(Answer::ok(describe_certificate(&resource_id_of(&tenant.service), &written, Code::Hidden)))
    }

    /// Makes a code for the proof of possession.
    pub(crate) async fn verification_code(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let changed = tenant.registry.new_verification_code(name, needed(request)?, self.ports.clock.now()).await?;
        Ok(Answer::ok(describe_certificate(&resource_id_of(&tenant.service), &changed, Code::Told)))
    }

    /// Judges the proof of possession.
    pub(crate) async fn verify_certificate(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        let (proof, _) = read(request.body())?;
        let changed = tenant.registry.verify_ca_certificate(name, &proof, needed(request)?, self.ports.clock.now()).await?;
        Ok(Answer::ok(describe_certificate(&resource_id_of(&tenant.service), &changed, Code::Hidden)))
    }

    /// Deletes a certificate that no enrollment refers to.
    pub(crate) async fn delete_certificate(&self, place: &Place, name: &str, request: &Request<Bytes>) -> Result<Answer, Refused> {
        let tenant = self.tenant(place).await?;
        Ok(Answer::deleted(tenant.registry.delete_ca_certificate(name, needed(request)?).await?))
    }
}

/// These operations demand a condition (azure-rest-api-specs: ifMatch, required), so that nobody verifies or deletes what another has
/// just replaced.
fn needed(request: &Request<Bytes>) -> Result<IfMatch, Refused> {
    match if_match(request) {
        IfMatch::Unsaid => Err(Refused::bad("MissingIfMatchHeader", "This operation needs If-Match with the certificate's etag, or *.")),
        condition => Ok(condition),
    }
}

/// The certificate and whether the operator vouches for it.
fn read(body: &[u8]) -> Result<(Certificate, Option<bool>), Refused> {
    let invalid = || Refused::bad("InvalidRequestContent", "The body must be a JSON object with the certificate in base64.");
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(invalid());
    }
    let body: CertificateBody = serde_json::from_slice(body).map_err(|_| invalid())?;
    let inner = body.properties.unwrap_or_default();
    let text = body.certificate.or(inner.certificate).filter(|text| !text.is_empty()).ok_or_else(invalid)?;
    let certificate = Certificate::from_text(&text).map_err(|why| Refused::bad("InvalidCertificate", format!("{why}.")))?;
    Ok((certificate, body.is_verified.or(inner.is_verified)))
}

/// Whether the verification code is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Told,
    Hidden,
}

fn describe_certificate(service_id: &str, found: &Versioned<CaCertificate>, code: Code) -> Value {
    let (value, info) = (&found.value, &found.value.certificate.info);
    let mut properties = json!({
        "subject": info.subject_name,
        "expiry": info.not_after_utc.http_date(),
        "thumbprint": info.sha1_thumbprint,
        "isVerified": value.is_verified,
        "certificate": value.certificate.der,
        "created": value.created_at.http_date(),
        "updated": value.updated_at.http_date(),
    });
    if let (Code::Told, Some(told)) = (code, &value.verification_code) {
        properties["verificationCode"] = json!(told.expose());
    }
    json!({
        "id": format!("{service_id}/certificates/{}", value.name),
        "name": value.name,
        "type": "Microsoft.Devices/ProvisioningServices/Certificates",
        "etag": describe::etag(found.etag),
        "properties": properties,
    })
}
