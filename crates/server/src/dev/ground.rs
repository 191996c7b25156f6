//! What lies in the state folder of `usher dev`: the store with its key, the hubs, the services, the dev CA and the administrator's token.

use std::{path::Path, sync::Arc};

use usher_domain::{
    Secret,
    clock::{Clock, Entropy},
    ids::hex,
};
use usher_hub_embedded::EmbeddedHubs;
use usher_records::Vault;
use usher_registry::Directory;
use usher_seal::MasterKey;
use usher_store::{Expect, Space, Store, TenantId};
use usher_store_embedded::EmbeddedStore;

use crate::{
    StartError,
    ambient::{SystemClock, SystemEntropy},
    copies::{self, BackupDoor},
    dev_ca::DevCa,
    kept_secret::kept_secret,
};

/// Where the dev CA lies, under tenant 0.
const DEV_CA: Space = Space(100);
/// Where the admin token lies, under tenant 0.
const ADMIN: Space = Space(101);

/// The opened folder, with the real clock and chance.
pub struct Ground {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Tenant 0: the system's own records.
    pub system: Vault,
    /// The embedded hubs.
    pub hubs: Arc<EmbeddedHubs>,
    /// The provisioning services.
    pub directory: Arc<Directory>,
    /// Where backups are given.
    pub backups: Option<BackupDoor>,
}

impl Ground {
    /// Opens the folder, making it where there is none.
    pub async fn open(folder: &Path) -> Result<Self, StartError> {
        make_folder(folder)?;
        let (store, master) = open_store(folder)?;
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        copies::refuse_unfinished(store.as_ref()).await?;
        let backups = BackupDoor::open(&folder.join("store"), Arc::clone(&store), (&master).into(), Arc::clone(&clock));
        let system = Vault::open_tenant(Arc::clone(&store), &master, TenantId(0)).await.map_err(|error| unreadable(&error))?;
        let hubs = EmbeddedHubs::open(system.clone(), Arc::clone(&clock), Arc::clone(&entropy)).await;
        let hubs = Arc::new(hubs.map_err(|error| StartError::internal("opening the hubs", &error))?);
        let directory = Directory::open(store, master).await.map_err(|error| unreadable(&error))?;
        Ok(Self { clock, entropy, system, hubs, directory: Arc::new(directory), backups })
    }

    /// The dev CA, made on the first start.
    pub async fn ca(&self) -> Result<DevCa, StartError> {
        ensure_ca(&self.system, self.clock.as_ref(), self.entropy.as_ref()).await
    }

    /// The token of the management API, made on the first start.
    pub async fn admin_token(&self) -> Result<Secret, StartError> {
        kept_secret(&self.system, ADMIN, "token", self.entropy.as_ref()).await
    }
}

fn make_folder(folder: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| folder_error(folder, &error))
}

fn open_store(folder: &Path) -> Result<(Arc<dyn Store>, MasterKey), StartError> {
    let path = folder.join("store");
    // Without its key an existing store is lost; a new key would only hide that.
    let master = MasterKey::from_file(&folder.join("master.key"), !path.exists()).map_err(|error| {
        let next = "Put the key back that this state folder was made with, or start with a new folder (--state).";
        StartError::new(format!("the master key {}: {error}", folder.join("master.key").display()), next)
    })?;
    let store = EmbeddedStore::open(&path).map_err(|error| StartError::new("the state cannot be opened", error.to_string()))?;
    Ok((Arc::new(store), master))
}

async fn ensure_ca(system: &Vault, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<DevCa, StartError> {
    let key = system.key(DEV_CA, "root");
    if let Some(found) = system.get::<DevCa>(&key).await.map_err(|error| unreadable(&error))? {
        return Ok(found.value);
    }
    let mut serial = [0; 4];
    entropy.fill(&mut serial);
    let ca = DevCa::generate(&hex(&serial), clock.now()).map_err(|error| StartError::internal("making the dev CA", &error))?;
    let (op, _) = system.put(key, Expect::Absent, &ca).map_err(|error| unreadable(&error))?;
    system.commit(vec![op]).await.map_err(|error| unreadable(&error))?;
    Ok(ca)
}

/// State that cannot be read.
pub fn unreadable(error: &usher_records::RecordError) -> StartError {
    let next = "If the master key was replaced, put the old one back; if files were damaged, restore a backup or use a new folder.";
    StartError::new(format!("the state cannot be read: {error}"), next)
}

/// A folder that cannot be used.
pub fn folder_error(folder: &Path, error: &std::io::Error) -> StartError {
    StartError::new(format!("the state folder {}: {error}", folder.display()), "Choose a folder that this user may write (--state).")
}
