//! Accepting a registration: the device proves itself, what is to be done for it is written down, and a worker is set to it.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::time::timeout;
use tracing::{info, warn};
use usher_domain::{
    ErrorCode, OperationId, Secret, ServiceError, Timestamp,
    document::RegisterDocument,
    enrollment::{AllocationPolicy, ProvisioningStatus, SymmetricKeys},
    hub_device::DeviceCredential,
    registration::{Operation, Registration},
};
use usher_records::Versioned;
use usher_registry::Tenant;
use usher_store::{Expect, Op};

use crate::{
    claim::Claim,
    csr,
    denial::Denial,
    draft::{Case, draft},
    engine::Engine,
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
/// Tries at a record that others change at the same time.
const CONFLICTS_MAX: usize = 5;

/// A device that proved itself and asks for an operation.
struct Application<'a> {
    tenant: &'a Tenant,
    claim: &'a Claim,
    document: &'a RegisterDocument,
    admitted: Admitted,
    /// Its record from an earlier time.
    known: Option<Versioned<Registration>>,
    operation_id: OperationId,
    /// What is to be committed together with the record.
    also: Vec<Op>,
    now: Timestamp,
}

impl Application<'_> {
    fn applicant(&self) -> Applicant {
        let Admitted { proven, enrollment, .. } = &self.admitted;
        let registration_id = proven.registration_id().clone();
        Applicant { registration_id, enrollment: enrollment.reference(), proof: proven.summary(), tpm: None }
    }

    /// What the store must hold for the record to be written.
    fn expect(&self) -> Expect {
        self.known.as_ref().map_or(Expect::Absent, |known| Expect::Etag(known.etag))
    }
}

impl Engine {
    pub(crate) async fn begin_or_join(
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
        let admitted = prove(registry, claim, known.as_ref().map(|known| &known.value), now, story).await?;
        tenant.admit_registration(now).map_err(throttled)?;
        let enabled = admitted.enrollment.status == ProvisioningStatus::Enabled;
        if let Some(known) = &known
            && let Some(operation) = transition::running(&known.value)
            && !transition::is_abandoned(operation, now)
            && enabled
        {
            csr::joins(document, operation)?;
            story.trail.passed("operation", "An operation of this device is under way already; this request joins it.");
            return Ok(Accepted::Settled(known.clone()));
        }
        let operation_id = OperationId::from_random(self.random());
        let also = tpm::answer(registry, claim, admitted.challenge.as_ref(), &operation_id).await?;
        let application = Application { tenant, claim, document, admitted, known, operation_id, also, now };
        if enabled { self.begin(application, story).await } else { refuse_disabled(application, story).await }
    }

    /// Writes down the operation: its plan, or the question to a webhook.
    async fn begin(&self, application: Application<'_>, story: &mut Story) -> Result<Accepted, Denial> {
        story.trail.passed("enrollment.enabled", "The enrollment is enabled.");
        let (applicant, expect) = (application.applicant(), application.expect());
        let Application { tenant, claim, document, admitted: Admitted { proven, enrollment, .. }, known, operation_id, also, now } =
            application;
        let wanted = csr::wanted(&tenant.registry, claim, document, &enrollment, story).await?;
        let old = known.map(|known| known.value);
        // Only a webhook is told the ETag.
        let enrollment_etag = match &enrollment.allocation {
            Some(AllocationPolicy::Custom(_)) => tenant.registry.etag_of(&enrollment).await?,
            _ => None,
        };
        let (service, enrollment, old_ref, latency) = (&tenant.service, &enrollment, old.as_ref(), self.latency.as_ref());
        let case = Case { service, enrollment, enrollment_etag, proven: &proven, old: old_ref, claim, document, latency };
        let mut operation = draft(&case, operation_id, || self.hub_keys(), now, &mut story.trail)?;
        csr::apply(&mut operation, wanted, enrollment, old_ref);
        let applicant = Applicant { tpm: tpm::remember(&proven, primary_key(&operation)), ..applicant };
        let begun = transition::begin(old, applicant, operation, now);
        let etag = save(tenant, &begun, expect, also).await?;
        Ok(Accepted::Begun(Versioned { value: begun, etag }))
    }

    /// Sets a worker to the operation and waits for it a little.
    pub(crate) async fn work_or_wait(
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

    /// Keys for a device that has none of its own to use at the hub.
    fn hub_keys(&self) -> SymmetricKeys {
        let key = || Secret::new(STANDARD.encode(self.random::<32>()));
        SymmetricKeys { primary: key(), secondary: key() }
    }
}

/// What became of a request to register.
enum Accepted {
    /// There is work to do.
    Begun(Versioned<Registration>),
    /// There is nothing to do: it runs already, or it is refused for good.
    Settled(Versioned<Registration>),
}

/// Writes the record; a device's first one counts against what the service may hold.
async fn save(tenant: &Tenant, registration: &Registration, expect: Expect, also: Vec<Op>) -> Result<u64, Denial> {
    match expect {
        Expect::Absent => tenant
            .save_first_registration(registration, also)
            .await
            .map_err(|error| Denial { mend: error.code.mend().into(), ..Denial::open("registration.save", error) }),
        _ => Ok(tenant.registry.save_registration(registration, expect, also).await?),
    }
}

fn primary_key(operation: &Operation) -> Option<Secret> {
    match &operation.device.credential {
        DeviceCredential::SymmetricKeys { primary, .. } | DeviceCredential::TpmKeys { primary, .. } => Some(primary.clone()),
        _ => None,
    }
}

/// Writes down that a device of a disabled enrollment was turned away.
async fn refuse_disabled(application: Application<'_>, story: &mut Story) -> Result<Accepted, Denial> {
    story.trail.failed("enrollment.disabled", "The enrollment is disabled.");
    let (applicant, expect) = (application.applicant(), application.expect());
    let Application { tenant, claim, known, operation_id, also, now, .. } = application;
    let refused = transition::refuse_disabled(known.map(|known| known.value), applicant, operation_id, now);
    let etag = save(tenant, &refused, expect, also).await?;
    let mend = "Enable the enrollment, or leave it: a disabled entry blocks the device on purpose.";
    warn!(tracking_id = %claim.tracking_id, id_scope = %claim.id_scope, registration_id = %claim.claimed_id,
        check = "enrollment.disabled", mend, "registration refused");
    Ok(Accepted::Settled(Versioned { value: refused, etag }))
}
