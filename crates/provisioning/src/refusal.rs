//! Whom the engine turns away, and why: the full story to the log and the journal, few words to the device.

use std::net::IpAddr;

use tracing::warn;
use usher_domain::{ErrorCode, ServiceError, TrackingId, attempt::Outcome};

use crate::{
    claim::{Claim, Transport},
    denial::Denial,
    engine::Engine,
    story::{self, Story},
};

impl Engine {
    /// Logs a request that was refused before it could become a claim.
    pub fn log_refused_request(&self, tracking_id: &TrackingId, transport: Transport, peer: Option<IpAddr>, error: &ServiceError) {
        // What the engine itself turned away is logged with more detail by `turn_away`.
        if matches!(error.code.status(), 401 | 404 | 409 | 429 | 500..) && error.code != ErrorCode::PathNotFound {
            return;
        }
        let peer = peer.map(|peer| peer.to_string()).unwrap_or_default();
        warn!(%tracking_id, transport = transport.name(), peer, code = error.code.code(), check = error.code.name(), detail = error.message, "request refused");
    }

    pub(crate) fn story(&self, claim: &Claim, request: &'static str) -> Story {
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
    pub(crate) fn turn_away(&self, claim: &Claim, mut story: Story, denial: Denial) -> ServiceError {
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

/// A finding as a sentence of its own.
fn sentence(finding: &str) -> String {
    let mut letters = finding.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if finding.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
