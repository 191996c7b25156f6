//! Lists, queries and numbers of devices.

use serde_json::{Value, json};

use super::{DEVICES, EmbeddedHub};
use crate::{Code, Fault, device::Device, query::Query};

/// Most devices in a list or in a page of a query (IoT Hub: 1000 in a list; in a page of a query, 100 unless asked otherwise).
pub const LIST_DEVICES_MAX: usize = 1_000;
/// Items in a page of a query where the caller asks for no number.
pub const PAGE_DEVICES_DEFAULT: usize = 100;
/// Records read for one page of a query. A rare match must not make one request read millions; the page then ends early, with a
/// continuation.
const PAGE_RECORDS_MAX: usize = 10_000;
/// Records read to count the matches of a condition, which has no pages.
const COUNT_RECORDS_MAX: usize = 200_000;
/// Records read from the store at once.
const SCAN_RECORDS: usize = 200;
/// What continuation tokens of queries are sealed for.
const TOKEN_PURPOSE: &str = "hub query";

/// A page of a query's result.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryPage {
    /// The items.
    pub items: Vec<Value>,
    /// For the next page; `None` on the last.
    pub continuation: Option<String>,
}

/// How many devices there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Statistics {
    /// All of them.
    pub total: u64,
    /// Those that may connect.
    pub enabled: u64,
    /// Those that may not.
    pub disabled: u64,
}

impl EmbeddedHub {
    /// How many devices there are. Counted as they change: costs the same for one as for millions.
    pub async fn statistics(&self) -> Result<Statistics, Fault> {
        let total = self.vault.counter(&self.keys.device_count()).await?;
        let disabled = self.vault.counter(&self.keys.disabled_count()).await?;
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        Ok(Statistics { total: count(total), enabled: count(total.saturating_sub(disabled)), disabled: count(disabled) })
    }

    /// The first devices, in no telling order.
    pub async fn list(&self, top: usize) -> Result<Vec<Device>, Fault> {
        let page = self.vault.page::<Device>(DEVICES, &self.keys.devices(), None, top.clamp(1, LIST_DEVICES_MAX)).await?;
        Ok(page.items.into_iter().map(|(_, found)| found.value).collect())
    }

    /// A page of a query's result.
    pub async fn query(&self, query: &Query, limit: usize, continuation: Option<&str>) -> Result<QueryPage, Fault> {
        if let Some(name) = query.counts_as() {
            return Ok(QueryPage { items: vec![json!({ name: self.count(query).await? })], continuation: None });
        }
        let limit = limit.clamp(1, LIST_DEVICES_MAX);
        let unknown = || Fault::invalid("The continuation token is not one of this hub's.");
        let mut after = match continuation {
            Some(token) => Some(self.vault.open_token(TOKEN_PURPOSE, token).await.ok_or_else(unknown)?),
            None => None,
        };
        let (mut items, mut read) = (Vec::new(), 0usize);
        loop {
            let page = self.vault.page::<Device>(DEVICES, &self.keys.devices(), after.as_deref(), SCAN_RECORDS).await?;
            for (key, found) in page.items {
                // The page is full and there is more to look at: the next page begins after the last key looked at.
                if items.len() >= limit || read >= PAGE_RECORDS_MAX {
                    return Ok(QueryPage { items, continuation: self.continuation(after.as_deref())? });
                }
                read = read.saturating_add(1);
                after = Some(key);
                let presence = self.live.presence(&found.value.device_id);
                if query.matches(&found.value.twin_document(presence)) {
                    let presence = self.presence(&found.value.device_id).await?;
                    items.push(query.project(found.value.twin_document(presence)));
                }
            }
            if page.next.is_none() {
                return Ok(QueryPage { items, continuation: None });
            }
        }
    }

    async fn count(&self, query: &Query) -> Result<u64, Fault> {
        let (mut after, mut read, mut matches) = (None::<Vec<u8>>, 0usize, 0u64);
        loop {
            let page = self.vault.page::<Device>(DEVICES, &self.keys.devices(), after.as_deref(), usher_store::SCAN_MAX).await?;
            read = read.saturating_add(page.items.len());
            let found = page.items.iter().map(|(_, found)| found.value.twin_document(self.live.presence(&found.value.device_id)));
            matches = matches.saturating_add(found.filter(|twin| query.matches(twin)).count() as u64);
            after = page.next;
            if after.is_none() {
                return Ok(matches);
            }
            if read >= COUNT_RECORDS_MAX {
                return Err(Fault::new(Code::ThrottlingException, format!("COUNT looks at {COUNT_RECORDS_MAX} devices at most.")));
            }
        }
    }

    fn continuation(&self, after: Option<&[u8]>) -> Result<Option<String>, Fault> {
        after.map(|key| self.vault.seal_token(TOKEN_PURPOSE, key)).transpose().map_err(Fault::from)
    }
}
