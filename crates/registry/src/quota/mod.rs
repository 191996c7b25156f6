//! How many enrollments of a kind, and registrations, a service holds, and that it never holds more than it may.
//!
//! A counter is added to in the commit that makes or deletes one, so that it is exact and nobody waits for anybody. Adding has
//! no condition, though, so a counter alone cannot hold a limit: many could read it just below and all be let in. Therefore creations go
//! one of two ways.
//!
//! - *Far*: the counter was read more than [`MARGIN`] below the limit. The commit demands that there is no guard record. Whoever goes
//!   this way holds one of [`FAR_AT_ONCE`] places of its node from reading to the end of its commit, so that at most [`MARGIN`] of
//!   them, on all nodes, can still act on a number that is out of date: they end at the limit and not above it.
//! - *Near*: the guard record is made first, which ends the far way for everybody. The guard is read before the counter and written again
//!   by the commit, so of two that read the same number one has to read again. Deletions need no guard: they only make room.
//!
//! The guard goes when the number has fallen two margins below the limit.

mod registrations;

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use usher_domain::{
    ErrorCode, ServiceError,
    enrollment::{Attestation, Enrollment, Subject},
};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{Registry, Tenant, change::CONFLICTS_MAX, fault::service_error, spaces};

/// Creations that one node has under way the far way.
const FAR_AT_ONCE: usize = 128;
/// Nodes that the margin is reckoned for.
const NODES_MAX: usize = 32;
/// Distance from the limit at which creations begin to wait for each other.
const MARGIN: i64 = (FAR_AT_ONCE * NODES_MAX) as i64;

/// What is counted. Symmetric key groups are not: the list of them is as good (see `symmetric_groups`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Individuals,
    X509Groups,
    Registrations,
}

/// The places of one service on this node.
pub(crate) struct Places {
    far: Arc<Semaphore>,
    near: Arc<Mutex<()>>,
}

impl Default for Places {
    fn default() -> Self {
        Self { far: Arc::new(Semaphore::new(FAR_AT_ONCE)), near: Arc::default() }
    }
}

/// Part of a commit, and the place that is held until the commit is over.
#[derive(Default)]
pub(crate) struct Holding {
    pub ops: Vec<Op>,
    _place: Option<Place>,
}

/// Only to be dropped.
#[expect(dead_code, reason = "held for their drops")]
enum Place {
    Far(OwnedSemaphorePermit),
    Near(OwnedMutexGuard<()>),
}

impl Tenant {
    /// What a commit that turns `old` into `new` needs for the count.
    ///
    /// # Errors
    /// [`ErrorCode::QuotaExceeded`] where the service holds as many as it may.
    pub(crate) async fn hold(&self, old: Option<&Enrollment>, new: &Enrollment) -> Result<Holding, ServiceError> {
        let (before, after) = (old.and_then(held), held(new));
        if before == after {
            return Ok(Holding::default());
        }
        let mut holding = match after {
            Some(what) => self.one_more(what).await?,
            None => Holding::default(),
        };
        holding.ops.extend(before.map(|what| self.registry.add(what, -1)));
        Ok(holding)
    }

    async fn one_more(&self, what: Held) -> Result<Holding, ServiceError> {
        let registry = &self.registry;
        let limits = &self.service.limits;
        let limit = match what {
            Held::Individuals => limits.individual_enrollments,
            Held::X509Groups => limits.x509_groups,
            Held::Registrations => limits.registrations_held,
        };
        let Some(limit) = limit.map(i64::from) else { return Ok(Holding { ops: vec![registry.add(what, 1)], _place: None }) };
        let far = Arc::clone(&registry.places.far).acquire_owned().await.map_err(|_| ServiceError::new(ErrorCode::Internal))?;
        let is_guarded = registry.guard(what).await.map_err(service_error)?.is_some();
        if !is_guarded && registry.held(what).await.map_err(service_error)? < limit - MARGIN {
            let unguarded = Op::Check { key: registry.guard_key(what), expect: Expect::Absent };
            return Ok(Holding { ops: vec![registry.add(what, 1), unguarded], _place: Some(Place::Far(far)) });
        }
        drop(far);
        self.one_of_the_last(what, limit).await
    }

    async fn one_of_the_last(&self, what: Held, limit: i64) -> Result<Holding, ServiceError> {
        let registry = &self.registry;
        let near = Arc::clone(&registry.places.near).lock_owned().await;
        let guard = registry.standing_guard(what).await?;
        let held = registry.held(what).await.map_err(service_error)?;
        if held >= limit {
            return Err(full(what, limit));
        }
        let (key, expect) = (registry.guard_key(what), Expect::Etag(guard.etag));
        let guard = if held < limit - 2 * MARGIN {
            Op::Delete { key, expect }
        } else {
            registry.vault.put(key, expect, &()).map_err(service_error)?.0
        };
        Ok(Holding { ops: vec![registry.add(what, 1), guard], _place: Some(Place::Near(near)) })
    }
}

impl Registry {
    /// What a deletion needs for the count.
    pub(crate) fn release(&self, enrollment: &Enrollment) -> Option<Op> {
        held(enrollment).map(|what| self.add(what, -1))
    }

    /// The individual enrollments held.
    pub async fn individuals_held(&self) -> Result<i64, RecordError> {
        self.held(Held::Individuals).await
    }

    /// The groups with X.509 attestation held.
    pub async fn x509_groups_held(&self) -> Result<i64, RecordError> {
        self.held(Held::X509Groups).await
    }

    async fn held(&self, what: Held) -> Result<i64, RecordError> {
        self.vault.counter(&self.held_key(what)).await
    }

    fn add(&self, what: Held, delta: i64) -> Op {
        Op::Add { key: self.held_key(what), delta }
    }

    /// The guard, made where there is none. A number read after this cannot grow before the guard is written again.
    async fn standing_guard(&self, what: Held) -> Result<Versioned<()>, ServiceError> {
        for _ in 0..CONFLICTS_MAX {
            if let Some(guard) = self.guard(what).await.map_err(service_error)? {
                return Ok(guard);
            }
            let (put, _) = self.vault.put(self.guard_key(what), Expect::Absent, &()).map_err(service_error)?;
            match self.vault.commit(vec![put]).await {
                Ok(()) | Err(RecordError::Conflict { .. }) => {}
                Err(fault) => return Err(service_error(fault)),
            }
        }
        Err(ServiceError::new(ErrorCode::ConcurrentChange))
    }

    async fn guard(&self, what: Held) -> Result<Option<Versioned<()>>, RecordError> {
        self.vault.get(&self.guard_key(what)).await
    }

    /// How many individual enrollments and how many groups with X.509 attestation there are.
    pub(crate) async fn held_numbers(&self) -> Result<(i64, i64), RecordError> {
        let number = async |what| self.vault.counter(&self.held_key(what)).await;
        Ok((number(Held::Individuals).await?, number(Held::X509Groups).await?))
    }

    fn held_key(&self, what: Held) -> Key {
        self.vault.key(spaces::HELD, what.name())
    }

    fn guard_key(&self, what: Held) -> Key {
        self.vault.child(spaces::HELD, "guard", what.name())
    }
}

impl Held {
    fn name(self) -> &'static str {
        match self {
            Self::Individuals => "individuals",
            Self::X509Groups => "x509 groups",
            Self::Registrations => "registrations",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Individuals => "individual enrollments",
            Self::X509Groups => "enrollment groups with X.509 attestation",
            Self::Registrations => "registrations",
        }
    }
}

/// What an enrollment counts as.
fn held(enrollment: &Enrollment) -> Option<Held> {
    match (&enrollment.subject, &enrollment.attestation) {
        (Subject::Individual { .. }, _) => Some(Held::Individuals),
        (Subject::Group { .. }, Attestation::X509(_)) => Some(Held::X509Groups),
        (Subject::Group { .. }, _) => None,
    }
}

fn full(what: Held, limit: i64) -> ServiceError {
    let why = format!("This service holds {limit} {}, as many as it may. Delete some, or raise the limit.", what.noun());
    ServiceError::with(ErrorCode::QuotaExceeded, why)
}

#[cfg(test)]
mod tests;
