//! A certificate authority outside, for tests: it signs with a CA of its own, after the faults that it was told to have.

use std::sync::{Mutex, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use usher_attestation::SigningRequest;
use usher_domain::{Timestamp, credential_policy::EstAuthority};

use crate::{
    BoxFuture, ExternalAuthority, IssueError,
    held::{self, HeldAuthority},
};

/// The authority.
pub struct FakeAuthority {
    ca: HeldAuthority,
    now: Timestamp,
    faults: Mutex<Vec<IssueError>>,
    asked: Mutex<u8>,
}

impl FakeAuthority {
    /// One that has these faults first, the last one first.
    ///
    /// # Errors
    /// Where there is no chance to be had.
    pub fn new(now: Timestamp, faults: Vec<IssueError>) -> Result<Self, String> {
        Ok(Self { ca: held::generate("outside CA", now)?, now, faults: Mutex::new(faults), asked: Mutex::default() })
    }

    /// How often it was asked.
    pub fn asked(&self) -> u8 {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answers are these faults.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = IssueError>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults.into_iter().collect();
    }

    fn answer(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, IssueError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = asked.saturating_add(1);
        if let Some(fault) = self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Err(fault);
        }
        let request = SigningRequest::from_der(request).map_err(|why| IssueError::Never(why.to_string()))?;
        let name = request.common_name().unwrap_or_default().to_owned();
        let issued = held::issue(&self.ca, &request, &name, 30, [*asked; 16], self.now)?;
        Ok(issued.certificates.iter().filter_map(|text| STANDARD.decode(text).ok()).collect())
    }
}

impl ExternalAuthority for FakeAuthority {
    fn enroll<'a>(&'a self, _: &'a EstAuthority, request: &'a [u8]) -> BoxFuture<'a, Result<Vec<Vec<u8>>, IssueError>> {
        Box::pin(async move { self.answer(request) })
    }
}

/// A request with a fresh key.
///
/// # Panics
/// Where there is no chance to be had.
#[expect(clippy::unwrap_used, reason = "for tests alone")]
pub fn request(common_name: &str) -> SigningRequest {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    SigningRequest::from_der(params.serialize_request(&key).unwrap().der()).unwrap()
}
