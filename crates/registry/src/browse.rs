//! Looking through a service's records by the beginning of an ID, for people who search.
//!
//! Records lie under blinded names, in an order that tells nothing, so that no index leads from the beginning of an ID to the IDs. What is
//! called exactly as was asked is found by one read; for all else records are looked at, and every request looks at no more than
//! [`LOOKED_AT_MAX`]. So a request costs the same however many records there are, and a search through all of them is many requests.

use serde::{Serialize, de::DeserializeOwned};
use usher_domain::{
    ErrorCode, RegistrationId, ServiceError,
    document::{EnrollmentDocument, RegistrationStateDocument},
    enrollment::Enrollment,
    registration::Registration,
};
use usher_records::Versioned;
use usher_store::Space;

use crate::{
    Registry,
    fault::service_error,
    kind::{Kind, id_of},
    outgoing, spaces,
    telling::PageRequest,
};

/// Records looked at for one request.
pub const LOOKED_AT_MAX: usize = 10_000;
/// Longest beginning of an ID, in characters: the longest ID.
const PREFIX_CHARS_MAX: usize = 128;

/// A page of what was found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found<T> {
    /// The items, in an order that is stable and tells nothing; what is called exactly as was asked is the first page, alone.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end. A page may be empty and not the last.
    pub continuation: Option<String>,
    /// Records looked at for this page.
    pub looked_at: usize,
}

/// How much a service holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Individual enrollments.
    pub enrollments: i64,
    /// Enrollment groups.
    pub enrollment_groups: i64,
}

impl Registry {
    /// Enrollments of a kind whose IDs begin with `prefix`, in any case; all where it is empty. Not metered: it is no call of the
    /// service API.
    pub async fn find_enrollments(&self, kind: Kind, prefix: &str, page: &PageRequest) -> Result<Found<EnrollmentDocument>, ServiceError> {
        let exact = match (kind.fold(prefix), &page.continuation) {
            (Ok(id), None) => self.enrollment(kind, &id).await.map_err(service_error)?,
            _ => None,
        };
        let found = self.find::<Enrollment>((kind.space(), kind.noun()), prefix, page, exact, id_of).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for entry in &found.items {
            items.push(self.told(entry).await?);
        }
        Ok(Found { items, continuation: found.continuation, looked_at: found.looked_at })
    }

    /// Registrations whose IDs begin with `prefix`, as [`Registry::find_enrollments`] finds enrollments.
    pub async fn find_registrations(&self, prefix: &str, page: &PageRequest) -> Result<Found<RegistrationStateDocument>, ServiceError> {
        let exact = match (RegistrationId::parse(prefix), &page.continuation) {
            (Ok(id), None) => self.registration(&id).await.map_err(service_error)?,
            _ => None,
        };
        let found = self.find::<Registration>((spaces::REGISTRATION, "registration"), prefix, page, exact, registered_id).await?;
        let items = found.items.iter().map(outgoing::registration_state).collect();
        Ok(Found { items, continuation: found.continuation, looked_at: found.looked_at })
    }

    /// How much the service holds. Records of early versions are not counted.
    pub async fn counts(&self) -> Result<Counts, ServiceError> {
        let (enrollments, x509_groups) = self.held_numbers().await.map_err(service_error)?;
        let symmetric = self.symmetric_key_groups().await.map_err(service_error)?.len();
        let enrollment_groups = x509_groups.saturating_add(i64::try_from(symmetric).unwrap_or(i64::MAX));
        Ok(Counts { enrollments, enrollment_groups })
    }

    async fn find<T: DeserializeOwned>(
        &self,
        (space, noun): (Space, &str),
        prefix: &str,
        page: &PageRequest,
        exact: Option<Versioned<T>>,
        id_of: impl Fn(&T) -> &str,
    ) -> Result<Found<Versioned<T>>, ServiceError> {
        if prefix.chars().count() > PREFIX_CHARS_MAX {
            return Err(ServiceError::with(ErrorCode::InvalidId, "An ID has at most 128 characters."));
        }
        let wanted = prefix.to_ascii_lowercase();
        let purpose = format!("find {noun} {wanted}");
        if let Some(exact) = exact {
            // At once, before anything is looked through; the next page begins at the beginning.
            return Ok(Found { items: vec![exact], continuation: self.continuation(&purpose, Some(Vec::new()))?, looked_at: 1 });
        }
        let mut after = self.position(&purpose, page).await?;
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let batch = if wanted.is_empty() { page.items() } else { usher_store::SCAN_MAX };
            let (entries, next) = self.listed::<T>(space, &[], after.as_deref(), batch).await?;
            let last = entries.len();
            after = next;
            for (index, (key, entry)) in entries.into_iter().enumerate() {
                looked_at += 1;
                let id = id_of(&entry.value).to_ascii_lowercase();
                // The exact one was the first page.
                if id.starts_with(&wanted) && id != wanted {
                    items.push(entry);
                }
                if items.len() >= page.items() {
                    after = if index + 1 < last { Some(key) } else { after };
                    break;
                }
            }
            if after.is_none() || items.len() >= page.items() || looked_at >= LOOKED_AT_MAX {
                break;
            }
        }
        Ok(Found { items, continuation: self.continuation(&purpose, after)?, looked_at })
    }
}

fn registered_id(registration: &Registration) -> &str {
    registration.registration_id.as_str()
}
