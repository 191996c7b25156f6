//! Challenges sent to TPMs and not yet forgotten. They are kept here, not in memory, so that any node can take the proof.

use serde::{Deserialize, Serialize};
use usher_domain::{OperationId, RegistrationId, Secret, Timestamp};
use usher_records::{RecordError, Versioned};
use usher_store::{Expect, Key, Op};

use crate::{Registry, spaces};

/// Challenges kept for one device. Several, so that an attempt of a second client, or a stranger's, does not undo a running one.
pub const CHALLENGES_MAX: usize = 8;
/// How long a challenge counts, in milliseconds: the SDKs' SAS tokens, signed by its key, live for an hour or less, but for polls and
/// the time of a slow TPM minutes are plenty.
pub const CHALLENGE_LIFETIME_MS: i64 = 15 * 60 * 1_000;

/// One challenge: whose it is, and the key that only that TPM can recover from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The endorsement key that it was made for, TPM2B_PUBLIC in base64.
    pub endorsement_key: String,
    /// The storage root key, likewise.
    pub storage_root_key: String,
    /// 32 bytes, base64.
    pub session_key: Secret,
    /// When it stops counting.
    pub expires_at: Timestamp,
    /// The operation that its answer began. A challenge begins one, so that a token seen on its way begins no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<OperationId>,
}

impl Registry {
    /// The challenges that count now, newest first.
    pub async fn challenges(&self, id: &RegistrationId, now: Timestamp) -> Result<Vec<Challenge>, RecordError> {
        let found: Option<Versioned<Vec<Challenge>>> = self.vault.get(&self.challenge_key(id)).await?;
        let mut all = found.map(|found| found.value).unwrap_or_default();
        all.retain(|challenge| challenge.expires_at > now);
        Ok(all)
    }

    /// Keeps a challenge; the oldest beyond [`CHALLENGES_MAX`] are forgotten. Durable before it returns, as the answer that carries the
    /// challenge must not be sent before.
    ///
    /// # Errors
    /// [`RecordError::Conflict`] where another challenge for the same device was kept meanwhile.
    pub async fn keep_challenge(&self, id: &RegistrationId, challenge: Challenge, now: Timestamp) -> Result<(), RecordError> {
        let key = self.challenge_key(id);
        let found: Option<Versioned<Vec<Challenge>>> = self.vault.get(&key).await?;
        let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Etag(found.etag));
        let mut all = found.map(|found| found.value).unwrap_or_default();
        all.retain(|challenge| challenge.expires_at > now);
        all.insert(0, challenge);
        all.truncate(CHALLENGES_MAX);
        let (op, _) = self.vault.put(key, expect, &all)?;
        self.vault.commit(vec![op]).await
    }

    /// The step that marks a challenge as answered, for the commit that begins the operation `by` with it.
    ///
    /// # Errors
    /// [`RecordError::Conflict`] where it was answered or forgotten meanwhile.
    pub async fn answer_challenge(&self, id: &RegistrationId, challenge: &Challenge, by: &OperationId) -> Result<Op, RecordError> {
        let key = self.challenge_key(id);
        let found: Option<Versioned<Vec<Challenge>>> = self.vault.get(&key).await?;
        let Versioned { value: mut all, etag } = found.ok_or(RecordError::Conflict { index: 0 })?;
        let kept = all.iter_mut().find(|kept| *kept == challenge).ok_or(RecordError::Conflict { index: 0 })?;
        kept.answered_by = Some(by.clone());
        Ok(self.vault.put(key, Expect::Etag(etag), &all)?.0)
    }

    fn challenge_key(&self, id: &RegistrationId) -> Key {
        self.vault.key(spaces::CHALLENGE, id.as_str())
    }
}
