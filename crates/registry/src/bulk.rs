//! Bulk operations: up to ten enrollments in one call, each on its own.

use usher_domain::{
    ErrorCode, ServiceError, Timestamp,
    document::{BulkDocument, BulkErrorDocument, BulkResultDocument, EnrollmentDocument},
    limits::BULK_ITEMS_MAX,
};
use usher_store::Op;

use crate::{Tenant, change::Terms, etag::IfMatch, kind::Kind};

/// What is done with each item (azure-rest-api-specs: BulkEnrollmentOperationMode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkMode {
    /// Made; refused where it is there.
    Create,
    /// Replaced whatever its ETag; refused where it is missing.
    Update,
    /// Replaced where the item's `etag` is the record's.
    UpdateIfMatchEtag,
    /// Deleted. The item's ID is enough; old SDKs send the whole record, whose `etag` is not looked at.
    Delete,
}

impl BulkMode {
    /// Case does not matter: the Node SDK writes `updateIfMatchEtag`, the specification `updateIfMatchETag`.
    fn parse(text: &str) -> Result<Self, ServiceError> {
        let known =
            [("create", Self::Create), ("update", Self::Update), ("updateIfMatchETag", Self::UpdateIfMatchEtag), ("delete", Self::Delete)];
        let found = known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, mode)| mode);
        let why = "The mode must be create, update, updateIfMatchETag or delete.";
        found.ok_or_else(|| ServiceError::with(ErrorCode::InvalidBody, why))
    }
}

/// A bulk request that could be read.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// What is done.
    pub mode: BulkMode,
    /// To what; 1 to [`BULK_ITEMS_MAX`].
    pub items: Vec<EnrollmentDocument>,
}

impl BulkRequest {
    /// Checks a bulk document for enrollments of `kind`.
    pub fn read(document: BulkDocument, kind: Kind) -> Result<Self, ServiceError> {
        let mode = BulkMode::parse(&document.mode)?;
        let (member, items) = match kind {
            Kind::Individual => ("enrollments", document.enrollments),
            Kind::Group => ("enrollmentGroups", document.enrollment_groups),
        };
        let items = items.unwrap_or_default();
        if items.is_empty() || items.len() > BULK_ITEMS_MAX {
            let why = format!("{member} must hold 1 to {BULK_ITEMS_MAX} items; this request has {}.", items.len());
            return Err(ServiceError::with(ErrorCode::InvalidBody, why));
        }
        Ok(Self { mode, items })
    }
}

impl Tenant {
    /// Carries out each item on its own; what fails is told in the result.
    ///
    /// The call is one operation on the meter, as the cloud bills calls: it is counted with the first item that succeeds, or alone.
    pub async fn bulk(&self, kind: Kind, request: &BulkRequest, now: Timestamp) -> Result<BulkResultDocument, ServiceError> {
        let mut errors = Vec::new();
        let mut counted = false;
        for item in &request.items {
            let also = if counted { Vec::new() } else { vec![self.registry.meter(now)] };
            match self.bulk_item(kind, request.mode, item, now, also).await {
                Ok(()) => counted = true,
                Err(error) => errors.push(failed(kind, item, &error)),
            }
        }
        if !counted {
            self.registry.count(now).await?;
        }
        Ok(BulkResultDocument { is_successful: errors.is_empty(), errors })
    }

    async fn bulk_item(
        &self,
        kind: Kind,
        mode: BulkMode,
        item: &EnrollmentDocument,
        now: Timestamp,
        also: Vec<Op>,
    ) -> Result<(), ServiceError> {
        let missing = || ServiceError::with(ErrorCode::InvalidId, format!("An item must have its {}.", kind.id_member()));
        let id = kind.id_in(item).ok_or_else(missing)?;
        let terms = match mode {
            BulkMode::Delete => return self.registry.remove(kind, id, IfMatch::Unsaid, also).await,
            BulkMode::Create => Terms::Absent,
            BulkMode::Update => Terms::Present,
            BulkMode::UpdateIfMatchEtag => Terms::IfMatch(match IfMatch::parse(item.etag.as_deref()) {
                // An item without an ETag matches nothing: an unconditional update has a mode of its own.
                IfMatch::Unsaid => IfMatch::Never,
                condition => condition,
            }),
        };
        self.write(kind, id, item, terms, now, also).await.map(|_| ())
    }
}

fn failed(kind: Kind, item: &EnrollmentDocument, error: &ServiceError) -> BulkErrorDocument {
    let id = Some(kind.id_in(item).unwrap_or_default().to_owned());
    let (registration_id, enrollment_group_id) = match kind {
        Kind::Individual => (id, None),
        Kind::Group => (None, id),
    };
    BulkErrorDocument { registration_id, enrollment_group_id, error_code: error.code.code(), error_status: error.message.clone() }
}
