//! Reading enrollments for operators: one, a page, or the attestation with its keys.

use serde::de::DeserializeOwned;
use usher_domain::{
    ErrorCode, ServiceError, Timestamp,
    document::{AttestationDocument, EnrollmentDocument},
    enrollment::Enrollment,
    limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};
use usher_records::Versioned;
use usher_store::Space;

use crate::{Registry, fault::service_error, kind::Kind, outgoing, query::Filter};

/// Records looked at for one page, however few of them a filter lets pass. A page that ends there carries a continuation token even
/// where it is empty, so that no request costs more than this.
const LOOKED_AT_MAX: usize = 5_000;

/// Which page of a listing.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// The most items wanted; [`PAGE_ITEMS_DEFAULT`] where nothing is said, cut to 1 to [`PAGE_ITEMS_MAX`].
    pub max_items: Option<usize>,
    /// The token of the page before. It binds what is listed, not the page size: azure-iot-cli-extension asks for smaller pages as it
    /// goes (common code of its `operations/generic.py`).
    pub continuation: Option<String>,
}

impl PageRequest {
    /// The page size in force.
    pub fn items(&self) -> usize {
        self.max_items.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX)
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// The next page's token; `None` on the last page.
    pub continuation: Option<String>,
}

type Entries<T> = Vec<(Vec<u8>, Versioned<T>)>;

impl Registry {
    /// An enrollment as the service API tells it, without secrets; metered.
    pub async fn enrollment_document(&self, kind: Kind, id: &str, now: Timestamp) -> Result<EnrollmentDocument, ServiceError> {
        let found = self.existing(kind, id).await?;
        self.count(now).await?;
        self.told(&found).await
    }

    /// An enrollment's attestation with its keys; metered.
    pub async fn attestation_mechanism(&self, kind: Kind, id: &str, now: Timestamp) -> Result<AttestationDocument, ServiceError> {
        let found = self.existing(kind, id).await?;
        self.count(now).await?;
        Ok(outgoing::attestation(&found.value.attestation, outgoing::Keys::Shown))
    }

    /// A page of the enrollments that pass a filter, in an order that is stable and tells nothing; metered.
    pub async fn query(
        &self,
        kind: Kind,
        filter: &Filter,
        page: &PageRequest,
        now: Timestamp,
    ) -> Result<Listing<EnrollmentDocument>, ServiceError> {
        let purpose = kind.noun();
        let mut after = self.position(purpose, page).await?;
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let (entries, next) = self.listed::<Enrollment>(kind.space(), &[], after.as_deref(), page.items()).await?;
            let last = entries.len();
            after = next;
            for (index, (key, entry)) in entries.into_iter().enumerate() {
                let document = self.told(&entry).await?;
                items.extend(filter.admits(&document).then_some(document));
                if items.len() >= page.items() {
                    // The page is full: the next one begins here, unless this was the very last record.
                    after = if index + 1 < last { Some(key) } else { after };
                    break;
                }
            }
            looked_at += last;
            if after.is_none() || items.len() >= page.items() || looked_at >= LOOKED_AT_MAX {
                break;
            }
        }
        self.count(now).await?;
        Ok(Listing { items, continuation: self.continuation(purpose, after)? })
    }

    pub(crate) async fn existing(&self, kind: Kind, id: &str) -> Result<Versioned<Enrollment>, ServiceError> {
        let id = kind.fold(id)?;
        let found = self.enrollment(kind, &id).await.map_err(service_error)?;
        found.ok_or_else(|| ServiceError::with(ErrorCode::NotFound, format!("There is no {} of this ID.", kind.noun())))
    }

    /// The document of a record, with the device's registration where it has one.
    pub(crate) async fn told(&self, found: &Versioned<Enrollment>) -> Result<EnrollmentDocument, ServiceError> {
        let mut document = outgoing::enrollment(&found.value, found.etag, outgoing::Keys::Hidden);
        document.registration_state = self.state_of_subject(&found.value).await?;
        Ok(document)
    }

    /// Records after a position, and where the next ones begin if there are any.
    pub(crate) async fn listed<T: DeserializeOwned>(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Entries<T>, Option<Vec<u8>>), ServiceError> {
        let page = self.vault.page::<T>(space, prefix, after, limit).await.map_err(service_error)?;
        let Some(next) = page.next else { return Ok((page.items, None)) };
        // Clients take a token to mean that there is more (azure-iot-provisioning-service: query.js), so a full last page has none.
        let more = self.vault.page::<T>(space, prefix, Some(&next), 1).await.map_err(service_error)?;
        let next = if more.items.is_empty() { None } else { Some(next) };
        Ok((page.items, next))
    }

    pub(crate) async fn position(&self, purpose: &str, page: &PageRequest) -> Result<Option<Vec<u8>>, ServiceError> {
        let Some(token) = page.continuation.as_deref().filter(|token| !token.is_empty()) else { return Ok(None) };
        let why = "The continuation token is not one of this listing's. Start again without it.";
        self.vault.open_token(purpose, token).await.map(Some).ok_or_else(|| ServiceError::with(ErrorCode::BadRequest, why))
    }

    pub(crate) fn continuation(&self, purpose: &str, next: Option<Vec<u8>>) -> Result<Option<String>, ServiceError> {
        next.map(|position| self.vault.seal_token(purpose, &position).map_err(service_error)).transpose()
    }
}
