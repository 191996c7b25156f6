//! Taking over changed master keys from the configuration while serving (SIGHUP).

use std::path::{Path, PathBuf};

use tracing::{error, info};

use super::{Serving, settings};

impl Serving {
    /// Reads `[master_key]` anew, and takes it over if everything in the store opens with it. Nothing else of the configuration is looked
    /// at. What is wrong is told by the log, and the keys stay as they are: a mistake must not stop a node that serves.
    pub async fn reload(&self, config: &Path) {
        match self.replaced(config.to_owned()).await {
            Ok(keys) => info!(keys, "master keys taken over"),
            Err(why) => error!(
                check = "master_key.reload",
                detail = why,
                mend = "Correct [master_key] in the configuration and send SIGHUP again; until then the keys are those from before.",
                "the master keys were not taken over"
            ),
        }
    }

    async fn replaced(&self, config: PathBuf) -> Result<String, String> {
        // Tokens block.
        let read = tokio::task::spawn_blocking(move || settings::read_masters(&config)).await;
        let next = read.map_err(|why| why.to_string())?.map_err(|mistake| mistake.to_string())?;
        self.doors.directory.replace_masters(&next).await.map_err(|why| why.to_string())?;
        Ok(next.all().iter().map(usher_seal::MasterKey::origin).collect::<Vec<_>>().join("; "))
    }
}
