//! Uploaded CA certificates: kept under a name, verified by proof of possession, and replaced under that name, which takes effect at
//! once for every enrollment that refers to it.
//!
//! Their names stand in one record, which is written again with every change of any; its ETag tells whether what this process read
//! before is still what is stored. So a registration by certificate costs one small read for them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand;
use tracing::warn;
use usher_attestation::{Certificate, x509::prove_possession};
use usher_domain::{
    ErrorCode, Secret, ServiceError, Timestamp,
    ca_certificate::{CA_CERTIFICATES_MAX, CaCertificate, is_certificate_name},
    ids::hex,
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{Registry, change::CONFLICTS_MAX, etag::IfMatch, fault::service_error, spaces};

/// Random bytes of a verification code; its hex form fits into a common name (RFC 5280 appendix A.1: 64 characters).
const CODE_BYTES: usize = 24;

/// The certificates as they stood at an ETag of the list; at most [`CA_CERTIFICATES_MAX`].
#[derive(Default)]
pub(crate) struct CaCache(Mutex<Option<(u64, CaCertificates)>>);

/// All uploaded certificates of a service, by name.
pub type CaCertificates = Arc<Vec<Versioned<CaCertificate>>>;

impl Registry {
    /// All uploaded certificates, by name.
    pub async fn ca_certificates(&self) -> Result<CaCertificates, RecordError> {
        let Some(list) = self.ca_list().await? else { return Ok(CaCertificates::default()) };
        let held = self.ca_cache.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, held)) = held.filter(|(etag, _)| *etag == list.etag) {
            return Ok(held);
        }
        let mut read = Vec::with_capacity(list.value.len());
        for name in &list.value {
            read.extend(self.ca_certificate(name).await?);
        }
        let read = Arc::new(read);
        // One that changed while they were read has changed the list too: what is held now is then never asked for again.
        *self.ca_cache.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((list.etag, Arc::clone(&read)));
        Ok(read)
    }

    /// One uploaded certificate.
    pub async fn ca_certificate(&self, name: &str) -> Result<Option<Versioned<CaCertificate>>, RecordError> {
        self.vault.get(&self.ca_key(name)).await
    }

    /// Uploads a certificate or replaces it; true where the name is new. Another certificate than before has to be verified anew,
    /// unless the operator vouches for it.
    pub async fn put_ca_certificate(
        &self,
        name: &str,
        certificate: &Certificate,
        vouched: Option<bool>,
        condition: IfMatch,
        now: Timestamp,
    ) -> Result<(Versioned<CaCertificate>, bool), ServiceError> {
        if !is_certificate_name(name) {
            return Err(ServiceError::with(ErrorCode::InvalidId, "A certificate's name has 1 to 64 letters, digits and - . _"));
        }
        if !certificate.is_ca() {
            let mend = "Upload the certificate of the CA that signs the devices' certificates.";
            warn!(check = "caCertificate.ca", mend, "a certificate is uploaded that is not a CA's: no chain can match it");
        }
        let stored = certificate.stored();
        let make = |old: Option<&CaCertificate>| {
            let same = old.filter(|old| old.certificate.der == stored.der);
            Ok(CaCertificate {
                name: old.map_or_else(|| name.to_owned(), |old| old.name.clone()),
                certificate: stored.clone(),
                is_verified: vouched.unwrap_or(same.is_some_and(|same| same.is_verified)),
                verification_code: same.and_then(|same| same.verification_code.clone()),
                created_at: old.map_or(now, |old| old.created_at),
                updated_at: now,
            })
        };
        self.change_ca(name, condition, make).await
    }

    /// Makes a new code for the proof of possession; an earlier one counts no longer.
    pub async fn new_verification_code(
        &self,
        name: &str,
        condition: IfMatch,
        now: Timestamp,
    ) -> Result<Versioned<CaCertificate>, ServiceError> {
        self.existing_ca(name).await?;
        let mut random = [0; CODE_BYTES];
        rand::fill(&mut random).map_err(|_| ServiceError::new(ErrorCode::Internal))?;
        let code = Secret::new(hex(&random).to_ascii_uppercase());
        let make = |old: Option<&CaCertificate>| {
            let old = old.cloned().ok_or_else(|| none(name))?;
            Ok(CaCertificate { verification_code: Some(code.clone()), updated_at: now, ..old })
        };
        self.change_ca(name, condition, make).await.map(|(changed, _)| changed)
    }

    /// Marks a certificate as verified where `proof` shows that its key is held: signed with it, for the code that was made last.
    pub async fn verify_ca_certificate(
        &self,
        name: &str,
        proof: &Certificate,
        condition: IfMatch,
        now: Timestamp,
    ) -> Result<Versioned<CaCertificate>, ServiceError> {
        self.existing_ca(name).await?;
        let make = |old: Option<&CaCertificate>| {
            let old = old.cloned().ok_or_else(|| none(name))?;
            check_proof(&old, proof, now)?;
            Ok(CaCertificate { is_verified: true, verification_code: None, updated_at: now, ..old })
        };
        self.change_ca(name, condition, make).await.map(|(changed, _)| changed)
    }

    /// Deletes a certificate; false where there is none. One that enrollments refer to stays: they would admit nobody without it.
    pub async fn delete_ca_certificate(&self, name: &str, condition: IfMatch) -> Result<bool, ServiceError> {
        let mut tries = 0;
        loop {
            // The list before the references: an enrollment that refers to the certificate meanwhile rewrites the list.
            let list = self.ca_list().await.map_err(service_error)?;
            let Some(found) = self.ca_certificate(name).await.map_err(service_error)? else { return Ok(false) };
            condition.check(Some(found.etag))?;
            if let Some(user) = self.referring(name).await.map_err(service_error)? {
                let why = format!("{user} refers to this certificate. Change or delete it first.");
                return Err(ServiceError::with(ErrorCode::Conflict, why));
            }
            let mut ops = vec![Op::Delete { key: self.ca_key(name), expect: Expect::Etag(found.etag) }];
            ops.push(self.ca_list_op(list.as_ref(), |names| names.retain(|listed| !listed.eq_ignore_ascii_case(name)))?);
            tries += 1;
            match self.vault.commit(ops).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                done => return done.map(|()| true).map_err(service_error),
            }
        }
    }

    /// That a certificate is missing is told before any condition on it fails.
    async fn existing_ca(&self, name: &str) -> Result<(), ServiceError> {
        self.ca_certificate(name).await.map_err(service_error)?.map(|_| ()).ok_or_else(|| none(name))
    }

    async fn change_ca(
        &self,
        name: &str,
        condition: IfMatch,
        make: impl Fn(Option<&CaCertificate>) -> Result<CaCertificate, ServiceError>,
    ) -> Result<(Versioned<CaCertificate>, bool), ServiceError> {
        let mut tries = 0;
        loop {
            let list = self.ca_list().await.map_err(service_error)?;
            let old = self.ca_certificate(name).await.map_err(service_error)?;
            condition.check(old.as_ref().map(|old| old.etag))?;
            let value = make(old.as_ref().map(|old| &old.value))?;
            if old.is_none() && list.as_ref().is_some_and(|list| list.value.len() >= CA_CERTIFICATES_MAX) {
                let why = format!("A service holds at most {CA_CERTIFICATES_MAX} CA certificates. Delete one first.");
                return Err(ServiceError::with(ErrorCode::QuotaExceeded, why));
            }
            let expect = old.as_ref().map_or(Expect::Absent, |old| Expect::Etag(old.etag));
            let (put, etag) = self.vault.put(self.ca_key(name), expect, &value).map_err(service_error)?;
            let listed = self.ca_list_op(list.as_ref(), |names| {
                if !names.iter().any(|listed| listed.eq_ignore_ascii_case(name)) {
                    names.push(value.name.clone());
                    names.sort();
                }
            })?;
            tries += 1;
            match self.vault.commit(vec![put, listed]).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                done => return done.map(|()| (Versioned { value, etag }, old.is_none())).map_err(service_error),
            }
        }
    }

    pub(crate) async fn ca_list(&self) -> Result<Option<Versioned<Vec<String>>>, RecordError> {
        self.vault.get(&self.vault.key(spaces::CA_CERTIFICATES, "list")).await
    }

    /// Writes the list again, changed or not, if nobody else did since it was read.
    pub(crate) fn ca_list_op(
        &self,
        read: Option<&Versioned<Vec<String>>>,
        change: impl FnOnce(&mut Vec<String>),
    ) -> Result<Op, ServiceError> {
        let expect = read.map_or(Expect::Absent, |read| Expect::Etag(read.etag));
        let mut names = read.map(|read| read.value.clone()).unwrap_or_default();
        change(&mut names);
        Ok(self.vault.put(self.vault.key(spaces::CA_CERTIFICATES, "list"), expect, &names).map_err(service_error)?.0)
    }

    fn ca_key(&self, name: &str) -> Key {
        self.vault.key(spaces::CA_CERTIFICATE, name)
    }
}

fn check_proof(ca: &CaCertificate, proof: &Certificate, now: Timestamp) -> Result<(), ServiceError> {
    let invalid = |why: String| ServiceError::with(ErrorCode::BadRequest, why);
    let code = ca.verification_code.as_ref().ok_or_else(|| invalid("There is no verification code. Generate one first.".into()))?;
    let authority = Certificate::from_stored(&ca.certificate).map_err(|why| invalid(format!("The uploaded certificate: {why}.")))?;
    prove_possession(&authority, proof, code.expose(), now).map_err(|refusal| invalid(refusal.to_string()))
}

fn none(name: &str) -> ServiceError {
    ServiceError::with(ErrorCode::NotFound, format!("There is no certificate {name:.64}."))
}
