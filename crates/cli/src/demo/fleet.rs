//! The demo's devices and the enrollments that admit them: every attestation kind on every transport.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};
use usher_attestation::sas;
use usher_device::{Credential, Tpm, Transport};

/// A device of the demo.
pub struct Member {
    /// Who it is.
    pub registration_id: String,
    /// How it proves that, in words.
    pub kind: &'static str,
    /// What with.
    pub credential: Credential,
    /// How it reaches the endpoint.
    pub transport: Transport,
    /// What its twin must say.
    pub desired: Value,
}

/// Path and document of each enrollment.
pub type Enrollments = Vec<(String, Value)>;

/// The devices and the enrollments they need.
pub fn fleet() -> Result<(Vec<Member>, Enrollments), String> {
    let (mut members, mut enrollments) = (Vec::new(), Vec::new());
    let group_key = STANDARD.encode(random()?);
    let chain = Chain::new().map_err(|why| why.to_string())?;
    enrollments.push(group("key-group", &symmetric(&group_key)));
    let signing = json!({ "type": "x509", "x509": { "signingCertificates": { "primary": { "certificate": chain.root_pem } } } });
    enrollments.push(group("ca-group", &signing));
    for transport in Transport::ALL {
        let key = random()?;
        let id = format!("key-{}", transport.name());
        enrollments.push(individual(&id, &symmetric(&STANDARD.encode(key))));
        members.push(member(id, "symmetric key, individual", Credential::SymmetricKey(key.to_vec()), transport, "individual"));

        let id = format!("key-group-{}", transport.name());
        let decoded = sas::decode_key(&group_key).map_err(|why| why.to_string())?;
        let derived = sas::derive_device_key(&decoded, &id).to_vec();
        members.push(member(id, "symmetric key, group", Credential::SymmetricKey(derived), transport, "key-group"));

        let id = format!("cert-{}", transport.name());
        let (pem, credential) = self_signed(&id).map_err(|why| why.to_string())?;
        let client = json!({ "type": "x509", "x509": { "clientCertificates": { "primary": { "certificate": pem } } } });
        enrollments.push(individual(&id, &client));
        members.push(member(id, "X.509, individual", credential?, transport, "individual"));

        let id = format!("cert-group-{}", transport.name());
        let credential = chain.device(&id).map_err(|why| why.to_string())??;
        members.push(member(id, "X.509, group by root CA", credential, transport, "ca-group"));
    }
    Ok((members, enrollments))
}

/// A device with a TPM, and its enrollment. TPMs are enrolled one by one.
pub fn tpm_member(tcti: &str, transport: Transport) -> Result<(Member, (String, Value)), String> {
    let tpm = Tpm::open(Some(tcti.to_owned())).map_err(|why| why.to_string())?;
    let id = format!("tpm-{}", transport.name());
    let attestation = json!({ "type": "tpm", "tpm": { "endorsementKey": tpm.keys().endorsement_key } });
    let credential = Credential::Tpm(Arc::new(tpm));
    Ok((member(id.clone(), "TPM 2.0, individual", credential, transport, "individual"), individual(&id, &attestation)))
}

fn member(registration_id: String, kind: &'static str, credential: Credential, transport: Transport, enrolled: &str) -> Member {
    Member { registration_id, kind, credential, transport, desired: json!({ "enrolledBy": enrolled }) }
}

fn individual(id: &str, attestation: &Value) -> (String, Value) {
    let twin = json!({ "properties": { "desired": { "enrolledBy": "individual" } } });
    (format!("/enrollments/{id}"), json!({ "registrationId": id, "attestation": attestation, "initialTwin": twin }))
}

fn group(id: &str, attestation: &Value) -> (String, Value) {
    let twin = json!({ "properties": { "desired": { "enrolledBy": id } } });
    (format!("/enrollmentGroups/{id}"), json!({ "enrollmentGroupId": id, "attestation": attestation, "initialTwin": twin }))
}

fn symmetric(key: &str) -> Value {
    json!({ "type": "symmetricKey", "symmetricKey": { "primaryKey": key, "secondaryKey": key } })
}

/// 32 random bytes, from a throw-away key pair's: the command line has no source of randomness of its own.
fn random() -> Result<[u8; 32], String> {
    let seed = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|why| why.to_string())?;
    Ok(sas::derive_device_key(&seed.serialize_der(), "demo"))
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

type Made = Result<Credential, String>;

fn self_signed(id: &str) -> Result<(String, Made), rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let pem = params(id).self_signed(&key)?.pem();
    let credential = Credential::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).map_err(|why| why.to_string());
    Ok((pem, credential))
}

/// A root, two intermediates below it, and devices below those.
struct Chain {
    root_pem: String,
    intermediates_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Chain {
    fn new() -> Result<Self, rcgen::Error> {
        let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        let root_key = key()?;
        let root_pem = ca_params("demo root").self_signed(&root_key)?.pem();
        let root = Issuer::new(ca_params("demo root"), root_key);
        let factory_key = key()?;
        let factory_pem = ca_params("demo factory").signed_by(&factory_key, &root)?.pem();
        let factory = Issuer::new(ca_params("demo factory"), factory_key);
        let line_key = key()?;
        let line_pem = ca_params("demo line").signed_by(&line_key, &factory)?.pem();
        let issuer = Issuer::new(ca_params("demo line"), line_key);
        Ok(Self { root_pem, intermediates_pem: format!("{line_pem}{factory_pem}"), issuer })
    }

    fn device(&self, id: &str) -> Result<Made, rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let leaf = params(id).signed_by(&key, &self.issuer)?.pem();
        let chain = format!("{leaf}{}", self.intermediates_pem);
        Ok(Credential::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).map_err(|why| why.to_string()))
    }
}
