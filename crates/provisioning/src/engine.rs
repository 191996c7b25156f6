//! The engine: drives registrations through the ports. It loads, lets the pure parts decide, saves, and only then speaks.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::timeout};
use tracing::{info, warn};
use usher_domain::{
    ErrorCode, ServiceError, Timestamp, TrackingId,
    clock::{Clock, Entropy},
    document::{OperationStatusDocument, RegisterDocument},
};
use usher_hub::Hubs;
use usher_issuance::{ExternalAuthority, NoExternalAuthority};
use usher_latency::LatencyMap;
use usher_registry::{Directory, Tenant, wire_etag};
use usher_webhook::AllocationWebhook;

use crate::{
    answer,
    claim::Claim,
    denial::Denial,
    journal::Journal,
    prove::prove,
    register_body,
    story::{self, Story},
    tpm,
};

/// Operations that one node works on at a time; devices beyond are told to come back.
const OPERATIONS_MAX: usize = 4096;
/// Operations that one node keeps in mind while a hub or a webhook is not ready, some KiB each. Beyond, they rest in the store alone.
const RESTING_MAX: usize = 16_384;
/// Time for the journal to be written when the node stops.
const JOURNAL_FLUSH_MAX: Duration = Duration::from_secs(2);
/// The provisioning engine of one node. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) ports: Arc<Ports>,
    pub(crate) running: Arc<Semaphore>,
    pub(crate) resting: Arc<Semaphore>,
    pub(crate) latency: Arc<LatencyMap>,
    pub(crate) journal: Option<Journal>,
    pub(crate) external: Arc<dyn ExternalAuthority>,
}

/// Everything the engine reaches the world through.
pub struct Ports {
    /// Services and their records.
    pub directory: Arc<Directory>,
    /// Connectors of linked hubs.
    pub hubs: Arc<dyn Hubs>,
    /// Webhooks of custom allocation policies.
    pub webhook: Arc<dyn AllocationWebhook>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Engine {
    /// An engine over these ports.
    pub fn new(ports: Ports) -> Self {
        let (running, resting) = (Arc::new(Semaphore::new(OPERATIONS_MAX)), Arc::new(Semaphore::new(RESTING_MAX)));
        Self { ports: Arc::new(ports), running, resting, latency: Arc::default(), journal: None, external: Arc::new(NoExternalAuthority) }
    }

    /// The engine with what is known of latency, for allocation by it. Without, hubs in this process are near and nothing is known of
    /// the others.
    #[must_use]
    pub fn with_latency(self, latency: LatencyMap) -> Self {
        Self { latency: Arc::new(latency), ..self }
    }

    /// The engine with a journal of attempts. Without, none are kept.
    #[must_use]
    pub fn with_journal(self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self }
    }

    /// Registers a device: proves it, records what is to be done, and does it, in the background where it takes longer.
    ///
    /// `body` may be empty (.NET over MQTT and AMQP), blank, or a register document. Asked again while an operation runs, it
    /// answers with that operation.
    pub async fn register(&self, claim: &Claim, body: &[u8]) -> Result<Reply, ServiceError> {
        let mut story = self.story(claim, "register");
        self.try_register(claim, body, &mut story).await.map_err(|denial| self.turn_away(claim, story, denial))
    }

    /// Makes the challenge for a TPM whose keys came in the claim: the first half of its proof, for transports that prove at connect.
    pub async fn challenge(&self, claim: &Claim) -> Result<Vec<u8>, ServiceError> {
        let mut story = self.story(claim, "challenge");
        let result = self.try_challenge(claim, &RegisterDocument::default(), &mut story).await;
        result.map_err(|denial| self.turn_away(claim, story, denial))
    }

    /// Whether the claim's evidence proves the device, for transports that prove at connect. Every later request is proved anew.
    pub async fn check_proof(&self, claim: &Claim) -> Result<(), ServiceError> {
        let mut story = self.story(claim, "connect");
        let proof = async {
            let tenant = self.tenant(claim, &mut story).await?;
            prove(&tenant.registry, claim, None, self.now(), &mut story).await
        };
        proof.await.map(|_| ()).map_err(|denial| self.turn_away(claim, story, denial))
    }

    /// A fresh tracking ID.
    pub fn new_tracking_id(&self) -> TrackingId {
        TrackingId::from_random(self.random())
    }

    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Waits until no operation is under way here, for at most `patience`. What is unfinished then is taken over later.
    pub async fn drain(&self, patience: Duration) {
        let all = u32::try_from(OPERATIONS_MAX).unwrap_or(u32::MAX);
        if timeout(patience, self.running.acquire_many(all)).await.is_err() {
            warn!("operations are still under way; they will be finished after the next start");
        }
        if let Some(journal) = &self.journal {
            journal.flush(JOURNAL_FLUSH_MAX).await;
        }
    }

    /// How many operations this node is working on.
    pub fn under_way(&self) -> usize {
        OPERATIONS_MAX.saturating_sub(self.running.available_permits())
    }

    /// How many operations wait here for a hub or a webhook to be ready.
    pub fn resting(&self) -> usize {
        RESTING_MAX.saturating_sub(self.resting.available_permits())
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.entropy.fill(&mut bytes);
        bytes
    }

    async fn try_challenge(&self, claim: &Claim, document: &RegisterDocument, story: &mut Story) -> Result<Vec<u8>, Denial> {
        let keys = tpm::shown(claim, document)?;
        let keys =
            keys.ok_or_else(|| Denial::open("tpm.keys", ServiceError::with(ErrorCode::InvalidBody, "The TPM's keys are missing.")))?;
        let tenant = self.tenant(claim, story).await?;
        let blob = tpm::challenge(&tenant.registry, claim, &keys, self.random(), self.now()).await?;
        story.challenged();
        self.keep(story, story::challenged());
        info!(tracking_id = %claim.tracking_id, id_scope = %claim.id_scope, registration_id = %claim.claimed_id,
            transport = claim.transport.name(), "TPM challenged");
        Ok(blob)
    }

    async fn try_register(&self, claim: &Claim, body: &[u8], story: &mut Story) -> Result<Reply, Denial> {
        let document = register_body::read(claim, body)?;
        if document.tpm.is_some() && claim.evidence.sas_token.is_none() {
            return self.try_challenge(claim, &document, story).await.map(Reply::Challenge);
        }
        let record = self.begin_or_join(claim, &document, story).await?;
        Ok(Reply::Status(Box::new(answer::operation_status(&record.value, &wire_etag(record.etag)))))
    }

    pub(crate) async fn tenant(&self, claim: &Claim, story: &mut Story) -> Result<Tenant, Denial> {
        let tenant = self.ports.directory.by_scope(&claim.id_scope).await?;
        story.came_to(tenant.as_ref());
        tenant.ok_or_else(|| {
            Denial::unauthorized(
                "idScope.unknown",
                format!("no provisioning service has the ID scope {}", claim.id_scope),
                "Flash the device with the service's ID scope; `usher dev` prints it.",
            )
        })
    }
}

/// The answer to a request to register.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// How the operation stands.
    Status(Box<OperationStatusDocument>),
    /// Prove it first: the activation blob for the device's TPM.
    Challenge(Vec<u8>),
}
