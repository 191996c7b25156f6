//! Credential policies: under which certificates are issued to devices, each with its authority. An authority's key stands in the policy's
//! record, which is sealed like any other, and is told to nobody.
//!
//! Their names stand in one record besides, written with every creation and deletion, so that there are never more than may be.

use usher_domain::{
    ErrorCode, ServiceError,
    credential_policy::{CREDENTIAL_POLICIES_MAX, CredentialPolicy, is_policy_name},
    document::EnrollmentDocument,
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{Registry, change::CONFLICTS_MAX, etag::IfMatch, fault::service_error, spaces};

type Names = Option<Versioned<Vec<String>>>;

impl Registry {
    /// One policy.
    pub async fn credential_policy(&self, name: &str) -> Result<Option<Versioned<CredentialPolicy>>, RecordError> {
        self.vault.get(&self.policy_key(name)).await
    }

    /// All policies, by name.
    pub async fn credential_policies(&self) -> Result<Vec<Versioned<CredentialPolicy>>, RecordError> {
        let mut found = Vec::new();
        for name in self.policy_names().await?.map(|names| names.value).unwrap_or_default() {
            found.extend(self.credential_policy(&name).await?);
        }
        Ok(found)
    }

    /// Makes a policy or replaces it by what `make` makes of the one before; true where the name is new.
    pub async fn put_credential_policy(
        &self,
        name: &str,
        condition: IfMatch,
        make: impl Fn(Option<&CredentialPolicy>) -> Result<CredentialPolicy, ServiceError>,
    ) -> Result<(Versioned<CredentialPolicy>, bool), ServiceError> {
        if !is_policy_name(name) {
            return Err(ServiceError::with(ErrorCode::InvalidId, "A credential policy's name has 3 to 50 letters, digits and hyphens."));
        }
        let mut tries = 0;
        loop {
            let names = self.policy_names().await.map_err(service_error)?;
            let old = self.credential_policy(name).await.map_err(service_error)?;
            condition.check(old.as_ref().map(|old| old.etag))?;
            let value = make(old.as_ref().map(|old| &old.value))?;
            let expect = old.as_ref().map_or(Expect::Absent, |old| Expect::Etag(old.etag));
            let (put, etag) = self.vault.put(self.policy_key(name), expect, &value).map_err(service_error)?;
            let mut ops = vec![put];
            if old.is_none() {
                ops.push(self.with_one_more(&names, &value.name)?);
            }
            tries += 1;
            match self.vault.commit(ops).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                done => return done.map(|()| (Versioned { value, etag }, old.is_none())).map_err(service_error),
            }
        }
    }

    /// Deletes a policy with its authority; false where there is none. Enrollments may still name it: their devices' requests are then
    /// refused, and what was issued stays valid.
    pub async fn delete_credential_policy(&self, name: &str, condition: IfMatch) -> Result<bool, ServiceError> {
        let mut tries = 0;
        loop {
            let names = self.policy_names().await.map_err(service_error)?;
            let Some(found) = self.credential_policy(name).await.map_err(service_error)? else { return Ok(false) };
            condition.check(Some(found.etag))?;
            let rest = |listed: &Vec<String>| listed.iter().filter(|listed| !listed.eq_ignore_ascii_case(name)).cloned().collect();
            let rest = names.as_ref().map(|names| rest(&names.value)).unwrap_or_default();
            let ops = vec![Op::Delete { key: self.policy_key(name), expect: Expect::Etag(found.etag) }, self.put_names(&names, &rest)?];
            tries += 1;
            match self.vault.commit(ops).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                done => return done.map(|()| true).map_err(service_error),
            }
        }
    }

    /// Refuses an enrollment that names a policy which is not there.
    pub(crate) async fn check_policy_of(&self, document: &EnrollmentDocument) -> Result<(), ServiceError> {
        let Some(name) = document.credential_policy_name.as_deref().filter(|name| !name.is_empty()) else { return Ok(()) };
        if is_policy_name(name) && self.credential_policy(name).await.map_err(service_error)?.is_some() {
            return Ok(());
        }
        let why = format!("credentialPolicyName: there is no credential policy {name:.64}. Make it first: usher ca create.");
        Err(ServiceError::with(ErrorCode::InvalidBody, why))
    }

    async fn policy_names(&self) -> Result<Names, RecordError> {
        self.vault.get(&self.vault.key(spaces::CREDENTIAL_POLICIES, "list")).await
    }

    fn with_one_more(&self, names: &Names, name: &str) -> Result<Op, ServiceError> {
        let mut listed = names.as_ref().map(|names| names.value.clone()).unwrap_or_default();
        if listed.len() >= CREDENTIAL_POLICIES_MAX {
            let why = format!("A service holds at most {CREDENTIAL_POLICIES_MAX} credential policies. Delete one first.");
            return Err(ServiceError::with(ErrorCode::QuotaExceeded, why));
        }
        listed.push(name.to_owned());
        listed.sort();
        self.put_names(names, &listed)
    }

    fn put_names(&self, names: &Names, listed: &Vec<String>) -> Result<Op, ServiceError> {
        let expect = names.as_ref().map_or(Expect::Absent, |names| Expect::Etag(names.etag));
        let put = self.vault.put(self.vault.key(spaces::CREDENTIAL_POLICIES, "list"), expect, listed);
        put.map(|(op, _)| op).map_err(service_error)
    }

    fn policy_key(&self, name: &str) -> Key {
        self.vault.key(spaces::CREDENTIAL_POLICY, name)
    }
}
