//! The engine: drives registrations through the ports. It loads, lets the pure parts decide, saves, and only then speaks.

use std::{net::IpAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{sync::Semaphore, time::timeout};
use tracing::{info, warn};
use usher_domain::{
    ErrorCode, OperationId, Secret, ServiceError, Timestamp, TrackingId,
    attempt::Outcome,
    clock::{Clock, Entropy},
    document::{OperationStatusDocument, RegisterDocument, RegistrationStateDocument},
    enrollment::{AllocationPolicy, ProvisioningStatus, SymmetricKeys},
    hub_device::DeviceCredential,
    limits::{NESTING_MAX, nests_within_limit},
    registration::{Operation, Registration},
};
use usher_hub::Hubs;
use usher_latency::LatencyMap;
use usher_records::Versioned;
use usher_registry::{Directory, Tenant};
use usher_store::Expect;
use usher_webhook::AllocationWebhook;

use crate::{
    answer,
    claim::{Claim, Transport},
    denial::Denial,
    draft::{Case, draft},
    journal::Journal,
    prove::{Admitted, prove},
    story::{self, Story},
    throttle::throttled,
    tpm,
    transition::{self, Applicant},
    worker,
};

/// How long register waits for the assignment before it answers `assigning`. Done in time, the device is told its hub at once and
/// saves a poll of seconds.
const ANSWER_AT_ONCE_WITHIN: Duration = Duration::from_millis(300);
/// Operations that one node works on at a time; devices beyond are told to come back.
const OPERATIONS_MAX: usize = 4096;
/// Operations that one node keeps in mind while a hub is not ready, some KiB each. Beyond, they rest in the store alone.
const RESTING_MAX: usize = 16_384;
/// Time for the journal to be written when the node stops.
const JOURNAL_FLUSH_MAX: Duration = Duration::from_secs(2);
/// Tries at a record that others change at the same time.
const CONFLICTS_MAX: usize = 5;

/// The provisioning engine of one node. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(crate) ports: Arc<Ports>,
    pub(crate) running: Arc<Semaphore>,
    pub(crate) resting: Arc<Semaphore>,
    latency: Arc<LatencyMap>,
    journal: Option<Journal>,
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
        Self { ports: Arc::new(ports), running, resting, latency: Arc::default(), journal: None }
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

    /// Tells how an operation stands. The device proves itself anew; another device's operation is not found.
    pub async fn operation_status(&self, claim: &Claim, operation_id: &str) -> Result<OperationStatusDocument, ServiceError> {
        let mut story = self.story(claim, "operation status");
        let result = self.try_status(claim, operation_id, &mut story).await;
        let record = result.map_err(|denial| self.turn_away(claim, story, denial))?;
        Ok(answer::operation_status(&record.value, &wire_etag(record.etag)))
    }

    /// Tells a device its registration, outside any operation.
    pub async fn registration(&self, claim: &Claim) -> Result<RegistrationStateDocument, ServiceError> {
        let mut story = self.story(claim, "registration look-up");
        let result = self.try_lookup(claim, &mut story).await;
        let record = result.map_err(|denial| self.turn_away(claim, story, denial))?;
        Ok(answer::device_state(&record.value, &wire_etag(record.etag)))
    }

    /// A fresh tracking ID.
    pub fn new_tracking_id(&self) -> TrackingId {
        TrackingId::from_random(self.random())
    }

    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Logs a request that was refused before it could become a claim.
    pub fn log_refused_request(&self, tracking_id: &TrackingId, transport: Transport, peer: Option<IpAddr>, error: &ServiceError) {
        // What the engine itself turned away is logged with more detail by `turn_away`.
        if matches!(error.code.status(), 401 | 404 | 409 | 429 | 500..) && error.code != ErrorCode::PathNotFound {
            return;
        }
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        warn!(%tracking_id, transport = transport.name(), peer, code = error.code.code(), check = error.code.name(), detail = error.message, "request refused");
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

    /// How many operations wait here for a hub to be ready.
    pub fn resting(&self) -> usize {
        RESTING_MAX.saturating_sub(self.resting.available_permits())
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.ports.entropy.fill(&mut bytes);
        bytes
    }

    /// Keys for a device that has none of its own to use at the hub.
    fn hub_keys(&self) -> SymmetricKeys {
        let key = || Secret::new(STANDARD.encode(self.random::<32>()));
        SymmetricKeys { primary: key(), secondary: key() }
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
        let document = read_body(claim, body)?;
        if document.tpm.is_some() && claim.evidence.sas_token.is_none() {
            return self.try_challenge(claim, &document, story).await.map(Reply::Challenge);
        }
        let record = self.begin_or_join(claim, &document, story).await?;
        Ok(Reply::Status(Box::new(answer::operation_status(&record.value, &wire_etag(record.etag)))))
    }

    async fn begin_or_join(
        &self,
        claim: &Claim,
        document: &RegisterDocument,
        story: &mut Story,
    ) -> Result<Versioned<Registration>, Denial> {
        let tenant = self.tenant(claim, story).await?;
        let first_try = story.trail.checks().len();
        for _ in 0..CONFLICTS_MAX {
            story.trail.back_to(first_try);
            match self.accept(&tenant, claim, document, story).await {
                Ok(Accepted::Begun(record)) => return Ok(self.work_or_wait(tenant, record, claim, story.clone()).await),
                Ok(Accepted::Settled(record)) => {
                    self.keep(story, story::outcome_of(&record.value));
                    return Ok(record);
                }
                Err(denial) if denial.answer.code == ErrorCode::ConcurrentChange => {}
                Err(denial) => return Err(denial),
            }
        }
        Err(Denial::open("store.conflict", ServiceError::new(ErrorCode::ConcurrentChange)))
    }

    /// Proves the device and writes down what is to be done for it.
    async fn accept(&self, tenant: &Tenant, claim: &Claim, document: &RegisterDocument, story: &mut Story) -> Result<Accepted, Denial> {
        let registry = &tenant.registry;
        let known = registry.registration(&claim.claimed_id).await?;
        let now = self.now();
        let Admitted { proven, enrollment, challenge } =
            prove(registry, claim, known.as_ref().map(|known| &known.value), now, story).await?;
        tenant.admit_registration(now).map_err(throttled)?;
        if let Some(known) = &known
            && let Some(operation) = transition::running(&known.value)
            && !transition::is_abandoned(operation, now)
            && enrollment.status == ProvisioningStatus::Enabled
        {
            story.trail.passed("operation", "An operation of this device is under way already; this request joins it.");
            return Ok(Accepted::Settled(known.clone()));
        }
        let expect = known.as_ref().map_or(Expect::Absent, |known| Expect::Etag(known.etag));
        let old = known.map(|known| known.value);
        let applicant = Applicant {
            registration_id: proven.registration_id().clone(),
            enrollment: enrollment.reference(),
            proof: proven.summary(),
            tpm: None,
        };
        let operation_id = OperationId::from_random(self.random());
        let also = tpm::answer(registry, claim, challenge.as_ref(), &operation_id).await?;
        if enrollment.status == ProvisioningStatus::Disabled {
            story.trail.failed("enrollment.disabled", "The enrollment is disabled.");
            let refused = transition::refuse_disabled(old, applicant, operation_id, now);
            let etag = registry.save_registration(&refused, expect, also).await?;
            let mend = "Enable the enrollment, or leave it: a disabled entry blocks the device on purpose.";
            warn!(tracking_id = %claim.tracking_id, id_scope = %claim.id_scope, registration_id = %claim.claimed_id,
                check = "enrollment.disabled", mend, "registration refused");
            return Ok(Accepted::Settled(Versioned { value: refused, etag }));
        }
        story.trail.passed("enrollment.enabled", "The enrollment is enabled.");
        // Only a webhook is told the ETag.
        let enrollment_etag = match &enrollment.allocation {
            Some(AllocationPolicy::Custom(_)) => registry.etag_of(&enrollment).await?,
            _ => None,
        };
        let (service, old_ref) = (&tenant.service, old.as_ref());
        let latency = self.latency.as_ref();
        let case = Case { service, enrollment: &enrollment, enrollment_etag, proven: &proven, old: old_ref, claim, document, latency };
        let operation = draft(&case, operation_id, || self.hub_keys(), now, &mut story.trail)?;
        let applicant = Applicant { tpm: tpm::remember(&proven, primary_key(&operation)), ..applicant };
        let begun = transition::begin(old, applicant, operation, now);
        let etag = registry.save_registration(&begun, expect, also).await?;
        Ok(Accepted::Begun(Versioned { value: begun, etag }))
    }

    /// Sets a worker to the operation and waits for it a little.
    async fn work_or_wait(
        &self,
        tenant: Tenant,
        record: Versioned<Registration>,
        claim: &Claim,
        mut story: Story,
    ) -> Versioned<Registration> {
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else {
            warn!(tracking_id = %claim.tracking_id, "too many operations under way here; this one waits for its lease to end");
            story.trail.failed("operation", "Too many operations are under way on this node; this one waits until its lease ends.");
            self.keep(&story, story::outcome_of(&record.value));
            return record;
        };
        let (engine, begun) = (self.clone(), record.clone());
        let work = tokio::spawn(async move { worker::work(&engine, &tenant, begun, permit, &mut story).await });
        let settled = match timeout(ANSWER_AT_ONCE_WITHIN, work).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(_)) | Err(_) => record,
        };
        info!(tracking_id = %claim.tracking_id, id_scope = %claim.id_scope, registration_id = %claim.claimed_id,
            transport = claim.transport.name(), status = settled.value.state.word(), operation_id = %settled.value.state.operation_id(),
            hub = settled.value.state.assignment().map(|place| place.hub.as_str()).unwrap_or_default(), "registration accepted");
        settled
    }

    async fn try_status(&self, claim: &Claim, operation_id: &str, story: &mut Story) -> Result<Versioned<Registration>, Denial> {
        let tenant = self.tenant(claim, story).await?;
        let Some(known) = tenant.registry.registration(&claim.claimed_id).await? else {
            return Err(self.not_proven_or_missing(&tenant, claim, ErrorCode::OperationNotFound, story).await);
        };
        let now = self.now();
        prove(&tenant.registry, claim, Some(&known.value), now, story).await?;
        tenant.admit_poll(&claim.claimed_id, now).map_err(throttled)?;
        if known.value.state.operation_id().as_str() != operation_id {
            let answer = ServiceError::with(ErrorCode::OperationNotFound, "This registration has no such operation. Register again.");
            return Err(Denial::open("operation.unknown", answer));
        }
        match transition::running(&known.value) {
            // Its node is gone: take it over now, while the device is waiting.
            Some(operation) if transition::is_abandoned(operation, now) => Ok(self.take_over(tenant, known, claim, story.clone()).await),
            _ => Ok(known),
        }
    }

    async fn take_over(&self, tenant: Tenant, known: Versioned<Registration>, claim: &Claim, story: Story) -> Versioned<Registration> {
        match worker::claim_operation(self, &tenant, known.clone()).await {
            Some(held) => self.work_or_wait(tenant, held, claim, story).await,
            None => known,
        }
    }

    async fn try_lookup(&self, claim: &Claim, story: &mut Story) -> Result<Versioned<Registration>, Denial> {
        let tenant = self.tenant(claim, story).await?;
        let Some(known) = tenant.registry.registration(&claim.claimed_id).await? else {
            return Err(self.not_proven_or_missing(&tenant, claim, ErrorCode::NotFound, story).await);
        };
        prove(&tenant.registry, claim, Some(&known.value), self.now(), story).await?;
        tenant.admit_operation(self.now()).map_err(throttled)?;
        tenant.registry.commit(vec![tenant.registry.meter(self.now())]).await?;
        Ok(known)
    }

    /// A missing record is told only to a device that proved itself.
    async fn not_proven_or_missing(&self, tenant: &Tenant, claim: &Claim, missing: ErrorCode, story: &mut Story) -> Denial {
        match prove(&tenant.registry, claim, None, self.now(), story).await {
            Ok(_) => Denial::open("registration.none", ServiceError::with(missing, "This device has not registered. Register first.")),
            Err(denial) => denial,
        }
    }

    async fn tenant(&self, claim: &Claim, story: &mut Story) -> Result<Tenant, Denial> {
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

    fn story(&self, claim: &Claim, request: &'static str) -> Story {
        Story::of(claim, request, self.now())
    }

    /// Keeps an attempt in the journal, where there is one, with what is known of its outcome by now.
    pub(crate) fn keep(&self, story: &Story, outcome: Outcome) {
        let Some(journal) = &self.journal else { return };
        let attempt = story.told(outcome, self.now());
        match &story.registry {
            Some(registry) => journal.keep(registry, story.known, attempt),
            None => journal.keep(&self.ports.directory.system(), false, attempt),
        }
    }

    /// Writes the full story to the log and the journal and gives back the few words for the device.
    fn turn_away(&self, claim: &Claim, mut story: Story, denial: Denial) -> ServiceError {
        story.trail.failed(&denial.check, sentence(&denial.detail));
        self.keep(&story, story::refused(&denial));
        let what = story.request;
        let Denial { check, detail, mend, answer } = denial;
        let peer = claim.peer.map(|peer| peer.to_string()).unwrap_or_default();
        warn!(tracking_id = %claim.tracking_id, id_scope = %claim.id_scope, registration_id = %claim.claimed_id,
            transport = claim.transport.name(), peer, code = answer.code.code(), check, detail, mend, "{what} refused");
        answer
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

/// A finding as a sentence of its own.
fn sentence(finding: &str) -> String {
    let mut letters = finding.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if finding.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

fn primary_key(operation: &Operation) -> Option<Secret> {
    match &operation.device.credential {
        DeviceCredential::SymmetricKeys { primary, .. } | DeviceCredential::TpmKeys { primary, .. } => Some(primary.clone()),
        _ => None,
    }
}

/// What became of a request to register.
enum Accepted {
    /// There is work to do.
    Begun(Versioned<Registration>),
    /// There is nothing to do: it runs already, or it is refused for good.
    Settled(Versioned<Registration>),
}

/// Reads the body of register. Absent, blank and `null` mean "nothing to say".
fn read_body(claim: &Claim, body: &[u8]) -> Result<RegisterDocument, Denial> {
    let text = body.trim_ascii();
    if text.is_empty() || text == b"null" {
        return Ok(RegisterDocument::default());
    }
    let refuse = |why: String| Denial::open("body.json", ServiceError::with(ErrorCode::InvalidBody, why));
    // An array would pass as a document whose members are all left out.
    if !text.starts_with(b"{") {
        return Err(refuse("The body is not a JSON object.".into()));
    }
    let document: RegisterDocument =
        serde_json::from_slice(text).map_err(|why| refuse(format!("The body is not a register document: {why}.")))?;
    match &document.registration_id {
        Some(id) if !claim.claimed_id.same_as(id) => {
            let why = "The body names another registration ID than the connection.";
            Err(Denial::open("body.registrationId", ServiceError::with(ErrorCode::InvalidBody, why)))
        }
        _ if !document.payload.as_ref().is_none_or(nests_within_limit) => {
            let answer = ServiceError::with(ErrorCode::InvalidBody, format!("The payload nests deeper than {NESTING_MAX} levels."));
            Err(Denial::open("body.payload", answer))
        }
        _ => Ok(document),
    }
}

/// An ETag as the wire spells it, quotes included.
fn wire_etag(etag: u64) -> String {
    usher_registry::wire_etag(etag)
}
