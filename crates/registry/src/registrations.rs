//! Registrations: written by registering alone, read and deleted by operators.

use usher_domain::{
    ErrorCode, RegistrationId, ServiceError, Timestamp,
    document::RegistrationStateDocument,
    enrollment::EnrollmentRef,
    registration::{Registration, State},
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{
    Registry,
    etag::IfMatch,
    fault::service_error,
    kind::Kind,
    outgoing, spaces,
    telling::{Listing, PageRequest},
};

/// A page of operations under way.
#[derive(Clone, Debug, Default)]
pub struct PendingPage {
    /// Their registrations.
    pub ids: Vec<RegistrationId>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Vec<u8>>,
}

impl Registry {
    /// A device's registration.
    pub async fn registration(&self, id: &RegistrationId) -> Result<Option<Versioned<Registration>>, RecordError> {
        self.vault.get(&self.registration_key(id)).await
    }

    /// Writes a registration, moves its index entries and does `also`, all in one commit; returns its new ETag.
    ///
    /// # Errors
    /// [`RecordError::Conflict`] where the record is not as `expect` says.
    pub async fn save_registration(&self, registration: &Registration, expect: Expect, also: Vec<Op>) -> Result<u64, RecordError> {
        let old = match expect {
            Expect::Absent => None,
            Expect::Any | Expect::Etag(_) => self.registration(&registration.registration_id).await?,
        };
        let found = old.as_ref().map(|old| old.etag);
        if !usher_store::holds(expect, found) {
            return Err(RecordError::Conflict { index: 0 });
        }
        // The index entries are reckoned from what was just read, so the commit holds the record to it whatever the caller expected.
        let expect = found.map_or(Expect::Absent, Expect::Etag);
        let (put, etag) = self.vault.put(self.registration_key(&registration.registration_id), expect, registration)?;
        let mut ops = vec![put];
        ops.extend(self.index_ops(old.as_ref().map(|old| &old.value), Some(registration))?);
        ops.extend(also);
        self.vault.commit(ops).await?;
        Ok(etag)
    }

    /// Operations under way, those after `after`, at most `limit`: after a crash, what is to be taken over.
    pub async fn pending(&self, after: Option<&[u8]>, limit: usize) -> Result<PendingPage, RecordError> {
        let page = self.vault.page(spaces::PENDING, &[], after, limit).await?;
        Ok(PendingPage { ids: page.items.into_iter().map(|(_, entry)| entry.value).collect(), next: page.next })
    }

    /// A registration as the service API tells it; metered.
    pub async fn registration_state(&self, id: &str, now: Timestamp) -> Result<RegistrationStateDocument, ServiceError> {
        let id = parse(id)?;
        let found = self.registration(&id).await.map_err(service_error)?.ok_or_else(no_registration)?;
        self.count(now).await?;
        Ok(outgoing::registration_state(&found))
    }

    /// A page of the registrations that came by a group; metered. A group that is gone, or never was, has those it left.
    pub async fn registrations_of_group(
        &self,
        group_id: &str,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Listing<RegistrationStateDocument>, ServiceError> {
        let group_id = Kind::Group.fold(group_id)?;
        let purpose = format!("registrations {group_id}");
        let prefix = self.vault.parent_prefix(spaces::REGISTRATION_BY_GROUP, &group_id);
        let after = self.position(&purpose, page).await?;
        let (entries, next) = self.listed::<RegistrationId>(spaces::REGISTRATION_BY_GROUP, &prefix, after.as_deref(), page.items()).await?;
        let mut items = Vec::with_capacity(entries.len());
        for (_, entry) in entries {
            // One deleted since the index was read is passed over.
            items.extend(self.registration(&entry.value).await.map_err(service_error)?.map(|found| outgoing::registration_state(&found)));
        }
        self.count(now).await?;
        Ok(Listing { items, continuation: self.continuation(&purpose, next)? })
    }

    /// Deletes a registration; metered in the same commit. The device stays on its hub; when it registers again, it does so for the
    /// first time. An operation under way comes to nothing.
    pub async fn delete_registration(&self, id: &str, if_match: IfMatch, now: Timestamp) -> Result<(), ServiceError> {
        let id = parse(id)?;
        let found = self.registration(&id).await.map_err(service_error)?.ok_or_else(no_registration)?;
        if_match.check(Some(found.etag))?;
        let mut ops = vec![Op::Delete { key: self.registration_key(&id), expect: Expect::Etag(found.etag) }];
        ops.extend(self.index_ops(Some(&found.value), None).map_err(service_error)?);
        ops.push(self.release_registration());
        ops.push(self.meter(now));
        self.vault.commit(ops).await.map_err(service_error)
    }

    /// What the indexes need when a registration turns from `old` into `new`.
    fn index_ops(&self, old: Option<&Registration>, new: Option<&Registration>) -> Result<Vec<Op>, RecordError> {
        let mut ops = Vec::new();
        self.move_entry(&mut ops, old.and_then(|old| self.group_entry(old)), new.and_then(|new| self.group_entry(new)), new)?;
        self.move_entry(&mut ops, old.and_then(|old| self.pending_entry(old)), new.and_then(|new| self.pending_entry(new)), new)?;
        Ok(ops)
    }

    fn move_entry(&self, ops: &mut Vec<Op>, from: Option<Key>, to: Option<Key>, new: Option<&Registration>) -> Result<(), RecordError> {
        if from == to {
            return Ok(());
        }
        ops.extend(from.map(|key| Op::Delete { key, expect: Expect::Any }));
        if let (Some(key), Some(new)) = (to, new) {
            ops.push(self.vault.put(key, Expect::Any, &new.registration_id)?.0);
        }
        Ok(())
    }

    fn group_entry(&self, registration: &Registration) -> Option<Key> {
        match &registration.enrollment {
            EnrollmentRef::Individual => None,
            EnrollmentRef::Group(group) => {
                Some(self.vault.child(spaces::REGISTRATION_BY_GROUP, group.as_str(), registration.registration_id.as_str()))
            }
        }
    }

    fn pending_entry(&self, registration: &Registration) -> Option<Key> {
        let under_way = matches!(registration.state, State::Assigning { .. });
        under_way.then(|| self.vault.key(spaces::PENDING, registration.registration_id.as_str()))
    }

    fn registration_key(&self, id: &RegistrationId) -> Key {
        self.vault.key(spaces::REGISTRATION, id.as_str())
    }

    /// Counts an operation that changes nothing else.
    pub(crate) async fn count(&self, now: Timestamp) -> Result<(), ServiceError> {
        self.vault.commit(vec![self.meter(now)]).await.map_err(service_error)
    }
}

fn parse(id: &str) -> Result<RegistrationId, ServiceError> {
    RegistrationId::parse(id).map_err(|why| ServiceError::with(ErrorCode::InvalidId, why.to_string()))
}

fn no_registration() -> ServiceError {
    ServiceError::with(ErrorCode::NotFound, "There is no registration of this ID. A device makes it by registering.")
}
