//! What stands behind the listeners: the APIs, each already wired to its ports.

use std::sync::{Arc, atomic::AtomicBool};

use usher_api_hub::HubRest;
use usher_api_management::ManagementApi;
use usher_api_service::ServiceApi;
use usher_domain::Timestamp;
use usher_hub_embedded::EmbeddedHubs;
use usher_provisioning::Engine;
use usher_registry::Directory;

use crate::{console::Console, linked_hubs::LinkedHubs};

/// Everything a connection can be led to.
pub struct Doors {
    /// When the server started.
    pub started: Timestamp,
    /// Whether it is about to stop, and load balancers should send nobody here any more.
    pub leaving: AtomicBool,
    /// The provisioning services.
    pub directory: Arc<Directory>,
    /// The device API's engine.
    pub engine: Engine,
    /// The service API.
    pub service: ServiceApi,
    /// The management API.
    pub management: ManagementApi,
    /// The embedded hubs.
    pub hubs: Arc<EmbeddedHubs>,
    /// Their REST API.
    pub hub_rest: HubRest,
    /// All hubs that devices can be sent to.
    pub linked_hubs: Arc<LinkedHubs>,
    /// The web console.
    pub console: Console,
}
