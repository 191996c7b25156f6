//! An installation in memory, and the words in which the tests speak to its management API.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;
use serde_json::Value;
use usher_api_management::{Login, ManagementApi, Ports, Settings, Site, resource_id};
use usher_domain::{
    HubName, Secret, Timestamp,
    clock::{ManualClock, SeededEntropy},
};
use usher_registry::Directory;
use usher_seal::MasterKey;
use usher_store::memory::MemoryStore;

pub const TOKEN: &str = "the-admin-token";

/// 1 June 2026.
pub fn now() -> Timestamp {
    Timestamp::from_secs(1_780_272_000)
}

/// A server with the hub `localhost`, which notes the names that it is told to answer to.
#[derive(Default)]
pub struct FakeSite {
    pub hosts: Mutex<Vec<String>>,
}

impl Site for FakeSite {
    fn is_embedded(&self, hub: &HubName) -> bool {
        hub.as_str() == "localhost"
    }

    fn serve_host(&self, host_name: &str) -> Result<(), String> {
        self.hosts.lock().unwrap().push(host_name.into());
        Ok(())
    }
}

pub struct World {
    pub api: ManagementApi,
    pub directory: Arc<Directory>,
    pub site: Arc<FakeSite>,
    pub clock: Arc<ManualClock>,
}

pub struct Reply {
    pub status: u16,
    pub json: Value,
}

pub async fn world() -> World {
    let directory = Directory::open(Arc::new(MemoryStore::default()), MasterKey::generate().unwrap()).await.unwrap();
    let (directory, site) = (Arc::new(directory), Arc::new(FakeSite::default()));
    let clock = Arc::new(ManualClock::at(now()));
    let ports =
        Ports { directory: Arc::clone(&directory), clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(7)), site: site.clone() };
    let settings = Settings {
        token: Secret::new(TOKEN),
        device_host: "devices.example".into(),
        domain: "example".into(),
        https_port: 443,
        limits: usher_domain::service_limits::ServiceLimits::DPS,
    };
    let api = ManagementApi::new(ports, settings).with_login(Login::new(Secret::new("the-login-key")));
    World { api, directory, site, clock }
}

impl World {
    /// A request with the token; headers as pairs.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Reply {
        let separator = if path.contains('?') { '&' } else { '?' };
        let mut request = Request::builder().method(method).uri(format!("{path}{separator}api-version=2021-10-15"));
        for (name, value) in [("authorization", "Bearer the-admin-token")].iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let response = self.api.handle(request.body(body).unwrap()).await;
        Reply { status: response.status().as_u16(), json: serde_json::from_slice(response.body()).unwrap_or_default() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], Value::Null).await
    }

    pub async fn post(&self, path: &str) -> Reply {
        self.send("POST", path, &[], Value::Null).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, &[], body).await
    }

    /// Makes a service that has the embedded hub.
    pub async fn plant(&self) -> Reply {
        let hub = "HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=c2VjcmV0";
        let hubs = serde_json::json!([{ "connectionString": hub, "location": "west" }]);
        self.put(
            &id("plant"),
            serde_json::json!({ "location": "westus", "sku": { "name": "S1", "capacity": 1 }, "properties": { "iotHubs": hubs } }),
        )
        .await
    }
}

pub fn id(name: &str) -> String {
    resource_id("works", name)
}
