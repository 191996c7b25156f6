//! What the management API asks of the server around it.

use std::sync::Arc;

use usher_api_management::Site;
use usher_domain::HubName;
use usher_hub_embedded::EmbeddedHubs;

use crate::served_names::ServedNames;

/// The hubs and names of this server.
pub struct ServerSite {
    /// The hubs in this process.
    pub hubs: Arc<EmbeddedHubs>,
    /// The names in its certificate.
    pub names: Arc<ServedNames>,
}

impl Site for ServerSite {
    fn is_embedded(&self, hub: &HubName) -> bool {
        self.hubs.get(hub).is_some()
    }

    fn serve_host(&self, host_name: &str) -> Result<(), String> {
        self.names.add(host_name)
    }
}
