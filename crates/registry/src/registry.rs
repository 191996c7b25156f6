//! One service's records: look-ups. Changes live beside, a file for each kind.

use std::sync::Arc;

use usher_domain::{
    EnrollmentGroupId, RegistrationId,
    enrollment::{Enrollment, Subject},
};
use usher_records::{RecordError, Vault, Versioned};
use usher_store::{Op, TenantId};

use crate::{ca_certificates::CaCache, kind::Kind, quota::Places, rates::Rates, symmetric_groups::GroupCache};

/// One service's records. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    pub(crate) vault: Vault,
    pub(crate) symmetric: Arc<GroupCache>,
    pub(crate) ca_cache: Arc<CaCache>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) places: Arc<Places>,
}

impl Registry {
    /// The records in `vault`.
    pub fn new(vault: Vault) -> Self {
        Self { vault, symmetric: Arc::default(), ca_cache: Arc::default(), rates: Arc::default(), places: Arc::default() }
    }

    /// Whose records these are.
    pub fn tenant(&self) -> TenantId {
        self.vault.tenant()
    }

    /// An individual enrollment.
    pub async fn individual(&self, id: &RegistrationId) -> Result<Option<Versioned<Enrollment>>, RecordError> {
        self.enrollment(Kind::Individual, id.as_str()).await
    }

    /// An enrollment group.
    pub async fn group(&self, id: &EnrollmentGroupId) -> Result<Option<Versioned<Enrollment>>, RecordError> {
        self.enrollment(Kind::Group, id.as_str()).await
    }

    /// The ETag of this enrollment's record; `None` where it has changed or is gone.
    pub async fn etag_of(&self, enrollment: &Enrollment) -> Result<Option<u64>, RecordError> {
        let found = match &enrollment.subject {
            Subject::Individual { registration_id, .. } => self.individual(registration_id).await?,
            Subject::Group { group_id } => self.group(group_id).await?,
        };
        Ok(found.filter(|found| found.value == *enrollment).map(|found| found.etag))
    }

    /// An enrollment of either kind, by its ID in any case.
    pub(crate) async fn enrollment(&self, kind: Kind, id: &str) -> Result<Option<Versioned<Enrollment>>, RecordError> {
        self.vault.get(&self.vault.key(kind.space(), id)).await
    }

    /// All of these operations or none.
    pub async fn commit(&self, ops: Vec<Op>) -> Result<(), RecordError> {
        self.vault.commit(ops).await
    }
}
