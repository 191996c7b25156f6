//! Sets up the asking of allocation webhooks.

use std::{path::PathBuf, sync::Arc};

use usher_webhook::AllocationWebhook;
use usher_webhook_http::HttpWebhook;

use crate::{StartError, trust::outgoing};

/// Asks webhooks that have their certificates from the machine's roots or from a CA in the files `trust` (PEM), which `option` named.
pub fn webhook(trust: &[PathBuf], option: &str) -> Result<Arc<dyn AllocationWebhook>, StartError> {
    Ok(Arc::new(HttpWebhook::new(outgoing(trust, option)?.client)))
}
