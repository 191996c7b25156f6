//! Changing and deleting services as clients ask for it: with conditions, and against others who do so at the same time.

use std::sync::PoisonError;

use usher_domain::{ErrorCode, ServiceError, Timestamp, service::ProvisioningService};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Op};

use super::{Directory, erase::Deleted};
use crate::{change::CONFLICTS_MAX, etag::IfMatch, fault::service_error, spaces};

/// A service as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The service with its new ETag.
    pub service: Versioned<ProvisioningService>,
    /// Whether it was made just now.
    pub created: bool,
}

impl Directory {
    /// Creates or replaces the service `name`: `make` is given what is stored and says what shall be. It is asked again where another
    /// change came between, and `condition` is judged anew each time.
    pub async fn put(
        &self,
        name: &str,
        condition: IfMatch,
        make: impl Fn(Option<&ProvisioningService>) -> Result<ProvisioningService, ServiceError>,
    ) -> Result<Written, ServiceError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_put(name, condition, &make).await {
                Err(error) if error.code == ErrorCode::ConcurrentChange && tries < CONFLICTS_MAX => {}
                done => return done,
            }
        }
    }

    async fn try_put(
        &self,
        name: &str,
        condition: IfMatch,
        make: &impl Fn(Option<&ProvisioningService>) -> Result<ProvisioningService, ServiceError>,
    ) -> Result<Written, ServiceError> {
        let found = self.service(name).await.map_err(service_error)?;
        condition.check(found.as_ref().map(|found| found.etag))?;
        match found {
            None => {
                let tenant = self.create(make(None)?).await?;
                // Read back for its ETag; whoever changed it since has made another version of the same service.
                let made = self.service(&tenant.service.name).await.map_err(service_error)?;
                let service = made.ok_or_else(|| ServiceError::new(ErrorCode::ConcurrentChange))?;
                Ok(Written { service, created: true })
            }
            Some(old) => {
                let new = make(Some(&old.value))?;
                let etag = self.update(new.clone(), old.etag).await.map_err(raced)?;
                Ok(Written { service: Versioned { value: new, etag }, created: false })
            }
        }
    }

    /// Deletes a service; false where there is none. From the commit on no request finds it. Its number is not used again, so that
    /// nothing of it can ever be taken for another's; its records are erased later, by [`Directory::erase_deleted`]. Its devices stay
    /// on their hubs.
    pub async fn delete(&self, name: &str, condition: IfMatch, now: Timestamp) -> Result<bool, ServiceError> {
        let mut tries = 0;
        loop {
            let Some(found) = self.service(name).await.map_err(service_error)? else { return Ok(false) };
            condition.check(Some(found.etag))?;
            tries += 1;
            match self.vault.commit(self.delete_ops(&found, now).await?).await {
                Err(RecordError::Conflict { .. }) if tries < CONFLICTS_MAX => {}
                Err(fault) => return Err(service_error(fault)),
                Ok(()) => {
                    self.registries.write().unwrap_or_else(PoisonError::into_inner).remove(&found.value.tenant);
                    return Ok(true);
                }
            }
        }
    }

    async fn delete_ops(&self, found: &Versioned<ProvisioningService>, now: Timestamp) -> Result<Vec<Op>, ServiceError> {
        let service = &found.value;
        let head = self.head().await.map_err(service_error)?;
        let deleted = Deleted { tenant: service.tenant, at: now };
        let key = self.vault.key(spaces::DELETED, &service.tenant.to_string());
        let mut ops = vec![
            Op::Delete { key: self.vault.key(spaces::SERVICES, &service.name), expect: Expect::Etag(found.etag) },
            self.head_op(&head, &head.value)?,
            self.vault.put(key, Expect::Any, &deleted).map_err(service_error)?.0,
        ];
        ops.extend(self.name_keys(service).into_iter().map(|key| Op::Delete { key, expect: Expect::Any }));
        Ok(ops)
    }
}

/// An update that found another ETag than was read a moment ago was overtaken; the client's own condition was judged before.
fn raced(error: ServiceError) -> ServiceError {
    if error.code == ErrorCode::PreconditionFailed { ServiceError::new(ErrorCode::ConcurrentChange) } else { error }
}
