//! Having a device's key certified, and making the certificate durable before any hub or the device learns of it.
//!
//! An operation whose certificate is saved is never certified again, whoever goes on with it. One that is lost before it is saved has
//! been seen by nobody but its authority; the next try makes another.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::time::timeout;
use tracing::{info, warn};
use usher_attestation::SigningRequest;
use usher_domain::{
    ErrorCode,
    certification::{IssuedChain, Stage},
    credential_policy::{Authority, CredentialPolicy},
    registration::{Operation, Registration},
};
use usher_issuance::{
    ExternalAuthority, IssueError, assemble,
    held::{self, HeldAuthority},
};
use usher_records::Versioned;
use usher_registry::Tenant;
use usher_store::Expect;

use crate::{engine::Engine, transition, worker::OPERATION_MAX_MS};

/// The longest that a certification may take. Well under a lease.
const CERTIFY_MAX: Duration = Duration::from_secs(10);

/// How a try to certify ended.
pub enum Certified {
    /// The record has the certificate.
    GoOn(Versioned<Registration>),
    /// The authority did not do it now.
    Wait {
        /// What happened.
        why: String,
        /// The authority's wish, in seconds.
        at_least_s: Option<u32>,
    },
    /// The operation has failed, which the record has yet to say.
    Failed(Registration, String),
    /// Another node is at work.
    NotHere,
}

impl Engine {
    /// The engine with a way to certificate authorities outside. Without, only those whose keys are held here sign.
    #[must_use]
    pub fn with_external_authority(self, external: Arc<dyn ExternalAuthority>) -> Self {
        Self { external, ..self }
    }
}

/// Whether the operation waits for a certificate.
pub fn is_due(operation: &Operation) -> bool {
    operation.certification.as_ref().is_some_and(|certification| matches!(certification.stage, Stage::Wanted { .. }))
}

/// Tries once.
pub async fn certify(engine: &Engine, tenant: &Tenant, record: &Versioned<Registration>, operation: &Operation) -> Certified {
    match issue(engine, tenant, record, operation).await {
        Ok(chain) => save(engine, tenant, record, chain).await,
        Err(IssueError::Later { why, retry_after_s }) if operation.started_at.plus_millis(OPERATION_MAX_MS) >= engine.now() => {
            info!(operation_id = %operation.id, detail = why, "certificate authority not ready; trying again");
            Certified::Wait { why, at_least_s: retry_after_s }
        }
        Err(IssueError::Later { why, .. } | IssueError::Never(why)) => {
            let code = ErrorCode::CertificateNotIssued;
            warn!(operation_id = %operation.id, code = code.code(), check = code.name(), detail = why, mend = code.mend(), "registration failed");
            let failed = transition::failed(record.value.clone(), code.code(), why.clone(), engine.now());
            Certified::Failed(failed, why)
        }
    }
}

async fn issue(
    engine: &Engine,
    tenant: &Tenant,
    record: &Versioned<Registration>,
    operation: &Operation,
) -> Result<IssuedChain, IssueError> {
    let lost = || IssueError::Never("The signing request is no longer there. Register again.".into());
    let Some(Stage::Wanted { policy, request }) = operation.certification.as_ref().map(|certification| &certification.stage) else {
        return Err(lost());
    };
    let request = STANDARD.decode(request).ok().and_then(|der| SigningRequest::from_der(&der).ok()).ok_or_else(lost)?;
    let found = tenant.registry.credential_policy(policy).await;
    let found =
        found.map_err(|why| IssueError::Later { why: format!("The credential policy cannot be read: {why}."), retry_after_s: None })?;
    let policy = found.ok_or_else(|| IssueError::Never(format!("The credential policy '{policy}' has been deleted.")))?.value;
    let name = record.value.registration_id.as_str();
    // As the device spelled it in the request, which was found to be its ID.
    let name = request.common_name().filter(|asked| asked.eq_ignore_ascii_case(name)).unwrap_or(name);
    sign(engine, &policy, &request, name).await
}

async fn sign(engine: &Engine, policy: &CredentialPolicy, request: &SigningRequest, name: &str) -> Result<IssuedChain, IssueError> {
    match &policy.authority {
        Authority::Held { chain, key } => {
            let authority = HeldAuthority { chain: chain.clone(), key: key.clone() };
            held::issue(&authority, request, name, policy.validity_days, engine.random(), engine.now())
        }
        Authority::Est(est) => {
            let late = || IssueError::Later { why: "The certificate authority gave no answer in time.".into(), retry_after_s: None };
            let answered = timeout(CERTIFY_MAX, engine.external.enroll(est, request.der())).await.map_err(|_| late())??;
            assemble(request, name, &answered, &est.chain)
        }
    }
}

async fn save(engine: &Engine, tenant: &Tenant, record: &Versioned<Registration>, chain: IssuedChain) -> Certified {
    let issued = transition::certified(record.value.clone(), chain, engine.now());
    match tenant.registry.save_registration(&issued, Expect::Etag(record.etag), Vec::new()).await {
        Ok(etag) => Certified::GoOn(Versioned { value: issued, etag }),
        Err(why) => {
            let operation_id = record.value.state.operation_id();
            warn!(%operation_id, detail = %why, "an issued certificate could not be saved and is dropped; whoever goes on asks anew");
            Certified::NotHere
        }
    }
}
