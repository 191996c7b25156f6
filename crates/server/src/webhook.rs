//! Sets up the asking of allocation webhooks.

use std::{path::Path, sync::Arc};

use usher_webhook::AllocationWebhook;
use usher_webhook_http::HttpWebhook;

use crate::{StartError, trust::outgoing};

/// Asks webhooks that have their certificates from the machine's roots or from a CA in the file `trust` (PEM).
pub fn webhook(trust: Option<&Path>) -> Result<Arc<dyn AllocationWebhook>, StartError> {
    let files: Vec<_> = trust.into_iter().map(Path::to_path_buf).collect();
    Ok(Arc::new(HttpWebhook::new(outgoing(&files, "--webhook-trust")?.client)))
}
