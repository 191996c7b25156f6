//! References to uploaded CA certificates as operators send them.

use usher_domain::{
    ServiceError,
    document::{CaReferencesDocument, X509Document},
    enrollment::CaReferences,
};

use super::{Incoming, certificates, given, invalid};
use crate::references::{names_of, verified};

/// Whether no certificate is named.
pub(super) fn is_empty(names: &CaReferencesDocument) -> bool {
    given(&names.primary).is_none() && given(&names.secondary).is_none()
}

impl Incoming<'_> {
    /// Reads references. Each must name a verified certificate; one that the enrollment had before may have been replaced since and
    /// wait for its verification.
    pub(super) fn references(&self, document: &X509Document, names: &CaReferencesDocument) -> Result<CaReferences, ServiceError> {
        let pairs = [&document.client_certificates, &document.signing_certificates];
        if pairs.into_iter().flatten().any(|pair| !certificates::is_empty(pair)) {
            return Err(invalid("The x509 attestation takes caReferences or certificates, not both."));
        }
        let read = |member: &str, name: &Option<String>| match given(name) {
            None => Ok(None),
            Some(name) => self.reference(member, name).map(Some),
        };
        Ok(CaReferences { primary: read("primary", &names.primary)?, secondary: read("secondary", &names.secondary)? })
    }

    fn reference(&self, member: &str, name: &str) -> Result<String, ServiceError> {
        let uploaded = self.uploaded.iter().find(|uploaded| uploaded.value.name.eq_ignore_ascii_case(name));
        let uploaded = uploaded.ok_or_else(|| {
            invalid(format!("caReferences.{member}: there is no uploaded CA certificate {name:.64}. Upload it by the management API."))
        })?;
        let had_before = || self.old.is_some_and(|old| names_of(old).contains(&name.to_ascii_lowercase()));
        if verified(self.uploaded, name).is_none() && !had_before() {
            return Err(invalid(format!("caReferences.{member}: the CA certificate {name:.64} is not verified. Verify it first.")));
        }
        Ok(uploaded.value.name.clone())
    }
}
