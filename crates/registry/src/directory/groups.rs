//! Resource groups that operators make by themselves, as tools do before they make a service in one.
//!
//! They are labels with a location and tags. Nothing depends on one: a service keeps the name of its group whether or not the group was
//! made, so that none of the service's rules waits for these records.

use usher_domain::{ErrorCode, ServiceError, resource::ResourceGroup};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Op};

use super::Directory;
use crate::{change::CONFLICTS_MAX, fault::service_error, spaces};

/// Resource groups that can be made (MicrosoftDocs/azure-docs: subscription limits of Azure Resource Manager, 980 in one subscription).
pub const RESOURCE_GROUPS_MAX: usize = 980;

impl Directory {
    /// All resource groups that were made, in no order.
    pub async fn resource_groups(&self) -> Result<Vec<ResourceGroup>, RecordError> {
        let page = self.vault.page::<ResourceGroup>(spaces::RESOURCE_GROUPS, &[], None, RESOURCE_GROUPS_MAX).await?;
        Ok(page.items.into_iter().map(|(_, found)| found.value).collect())
    }

    /// The resource group of this name, in any case, if it was made.
    pub async fn resource_group(&self, name: &str) -> Result<Option<Versioned<ResourceGroup>>, RecordError> {
        self.vault.get(&self.vault.key(spaces::RESOURCE_GROUPS, name)).await
    }

    /// Makes a resource group or changes its tags; true where it is new. Name and location stay as they were first given.
    ///
    /// # Errors
    /// `Conflict` for another location; `QuotaExceeded` beyond [`RESOURCE_GROUPS_MAX`].
    pub async fn put_resource_group(&self, group: &ResourceGroup) -> Result<(ResourceGroup, bool), ServiceError> {
        self.put_group_among(group, RESOURCE_GROUPS_MAX).await
    }

    async fn put_group_among(&self, group: &ResourceGroup, most: usize) -> Result<(ResourceGroup, bool), ServiceError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_put_group(group, most).await {
                Err(error) if error.code == ErrorCode::ConcurrentChange && tries < CONFLICTS_MAX => {}
                done => return done,
            }
        }
    }

    async fn try_put_group(&self, group: &ResourceGroup, most: usize) -> Result<(ResourceGroup, bool), ServiceError> {
        let key = self.vault.key(spaces::RESOURCE_GROUPS, &group.name);
        let head = self.head().await.map_err(service_error)?;
        let found = self.resource_group(&group.name).await.map_err(service_error)?;
        let (kept, expect) = match &found {
            Some(old) if !same_location(&old.value.location, &group.location) => {
                let why = format!("The location of a resource group cannot change: it is {}.", old.value.location);
                return Err(ServiceError::with(ErrorCode::Conflict, why));
            }
            Some(old) => (ResourceGroup { tags: group.tags.clone(), ..old.value.clone() }, Expect::Etag(old.etag)),
            None if self.resource_groups().await.map_err(service_error)?.len() >= most => {
                let why = format!("There can be at most {most} resource groups.");
                return Err(ServiceError::with(ErrorCode::QuotaExceeded, why));
            }
            None => (group.clone(), Expect::Absent),
        };
        // The head is written too, so that groups are made one after the other and never exceed their number.
        let ops = vec![self.vault.put(key, expect, &kept).map_err(service_error)?.0, self.head_op(&head, &head.value)?];
        self.vault.commit(ops).await.map_err(service_error)?;
        Ok((kept, found.is_none()))
    }

    /// Forgets a resource group; false where it was not made.
    pub async fn delete_resource_group(&self, name: &str) -> Result<bool, RecordError> {
        if self.resource_group(name).await?.is_none() {
            return Ok(false);
        }
        let key = self.vault.key(spaces::RESOURCE_GROUPS, name);
        self.vault.commit(vec![Op::Delete { key, expect: Expect::Any }]).await?;
        Ok(true)
    }
}

/// `West Europe` and `westeurope` are one place: clients write either.
fn same_location(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
    bare(a) == bare(b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeMap, sync::Arc};

    use usher_seal::MasterKey;
    use usher_store::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn their_number_is_not_exceeded_and_those_that_are_there_can_be_changed() {
        let directory = Directory::open(Arc::new(MemoryStore::default()), MasterKey::generate().unwrap()).await.unwrap();
        let put = async |name: &str| {
            let group = ResourceGroup { name: name.into(), location: "local".into(), tags: BTreeMap::new() };
            directory.put_group_among(&group, 2).await
        };
        assert!(put("a").await.unwrap().1 && put("b").await.unwrap().1);
        assert_eq!(put("c").await.unwrap_err().code, ErrorCode::QuotaExceeded);
        assert!(!put("a").await.unwrap().1);
    }
}
