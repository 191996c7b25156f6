//! The list of symmetric key groups.
//!
//! A token does not say which group's key made it, so a new device has to be tried against each. The IDs stand in one record, which is
//! written again with every change of such a group: its ETag tells whether the groups read earlier are still what is stored, so that
//! a registration costs one read instead of a hundred.

use std::sync::{Arc, Mutex, PoisonError};

use usher_domain::{
    EnrollmentGroupId, ErrorCode, ServiceError,
    enrollment::{Attestation, Enrollment},
    limits::SYMMETRIC_KEY_GROUPS_MAX,
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{Registry, fault::service_error, kind::id_of, spaces};

/// Groups as they stood at an ETag of the list. At most [`SYMMETRIC_KEY_GROUPS_MAX`] are held.
#[derive(Default)]
pub(crate) struct GroupCache(Mutex<Option<(u64, Arc<Vec<Enrollment>>)>>);

impl GroupCache {
    fn at(&self, etag: u64) -> Option<Arc<Vec<Enrollment>>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|(of, _)| *of == etag).map(|(_, groups)| Arc::clone(groups))
    }

    fn hold(&self, etag: u64, groups: &Arc<Vec<Enrollment>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((etag, Arc::clone(groups)));
    }
}

impl Registry {
    /// All symmetric key groups, disabled ones included; at most [`SYMMETRIC_KEY_GROUPS_MAX`].
    pub async fn symmetric_key_groups(&self) -> Result<Vec<Enrollment>, RecordError> {
        let Some(list) = self.symmetric_list().await? else { return Ok(Vec::new()) };
        if let Some(held) = self.symmetric.at(list.etag) {
            return Ok(held.to_vec());
        }
        let mut groups = Vec::with_capacity(list.value.len());
        for id in &list.value {
            groups.extend(self.group(id).await?.map(|found| found.value));
        }
        let groups = Arc::new(groups);
        // Groups that changed while they were read have also changed the list: what is held now is then never asked for again.
        self.symmetric.hold(list.etag, &groups);
        Ok(groups.to_vec())
    }

    /// The list's change that goes with a group's change from `old` to `new`; none where neither has symmetric keys.
    pub(crate) async fn symmetric_ops(&self, old: Option<&Enrollment>, new: Option<&Enrollment>) -> Result<Vec<Op>, ServiceError> {
        let (old, new) = (old.filter(|old| is_symmetric(old)), new.filter(|new| is_symmetric(new)));
        if old.is_none() && new.is_none() {
            return Ok(Vec::new());
        }
        let list = self.symmetric_list().await.map_err(service_error)?;
        let expect = list.as_ref().map_or(Expect::Absent, |list| Expect::Etag(list.etag));
        let mut ids = list.map(|list| list.value).unwrap_or_default();
        if let Some(old) = old {
            ids.retain(|id| !id.as_str().eq_ignore_ascii_case(id_of(old)));
        }
        if let Some(new) = new {
            if ids.len() >= SYMMETRIC_KEY_GROUPS_MAX {
                let why = format!("A service holds at most {SYMMETRIC_KEY_GROUPS_MAX} symmetric key groups. Delete one first.");
                return Err(ServiceError::with(ErrorCode::QuotaExceeded, why));
            }
            ids.extend(EnrollmentGroupId::parse(id_of(new)));
        }
        Ok(vec![self.vault.put(self.symmetric_key(), expect, &ids).map_err(service_error)?.0])
    }

    async fn symmetric_list(&self) -> Result<Option<Versioned<Vec<EnrollmentGroupId>>>, RecordError> {
        self.vault.get(&self.symmetric_key()).await
    }

    fn symmetric_key(&self) -> Key {
        self.vault.key(spaces::SYMMETRIC_GROUPS, "list")
    }
}

fn is_symmetric(enrollment: &Enrollment) -> bool {
    matches!(enrollment.attestation, Attestation::SymmetricKey(_))
}
