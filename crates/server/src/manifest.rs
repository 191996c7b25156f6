//! `dev.json`: what a test suite needs to know of a running `usher dev`. A stable contract: members may be added, never changed.

use std::{fs, io, os::unix::fs::OpenOptionsExt as _, path::Path};

use serde::{Deserialize, Serialize};

/// The file's name in the state folder.
pub const FILE: &str = "dev.json";

/// The contents of `dev.json`. Connection strings hold keys: the file is readable by its owner only.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// What devices are given as ID scope.
    pub id_scope: String,
    /// The device endpoint.
    pub device: DeviceEndpoint,
    /// The service API.
    pub service: ServiceEndpoint,
    /// The management API.
    pub management: ManagementEndpoint,
    /// The embedded hubs.
    pub hubs: Vec<HubEndpoint>,
    /// The root certificate to trust, relative to the file's folder.
    pub trust: String,
    /// Where a browser finds the console; empty in files of early versions.
    #[serde(default)]
    pub console: String,
}

/// Where devices connect to.
#[derive(Clone, Serialize, Deserialize)]
pub struct DeviceEndpoint {
    /// The host name.
    pub host: String,
    /// HTTPS, MQTT and other protocols over WebSocket.
    pub https: u16,
    /// MQTT over TLS.
    pub mqtts: u16,
    /// AMQP over TLS.
    pub amqps: u16,
}

/// How operators connect.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEndpoint {
    /// For Azure's service SDKs.
    pub connection_string: String,
}

/// How the installation is managed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagementEndpoint {
    /// The base URL.
    pub url: String,
    /// The bearer token.
    pub token: String,
    /// The service's Azure resource ID.
    pub resource_id: String,
}

/// A hub.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HubEndpoint {
    /// The name that devices are told.
    pub host_name: String,
    /// For Azure's hub SDKs.
    pub connection_string: String,
}

impl Manifest {
    /// Writes the file: beside its place first, then renamed, so that whoever waits for it never sees half of it.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let beside = folder.join("dev.json.new");
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        let _ = fs::remove_file(&beside);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        io::Write::write_all(&mut file, &text)?;
        fs::rename(beside, folder.join(FILE))
    }

    /// Reads the file of a running server.
    pub fn read(folder: &Path) -> io::Result<Self> {
        serde_json::from_slice(&fs::read(folder.join(FILE))?).map_err(io::Error::other)
    }

    /// Removes the file, if it is there: nothing is ready any more.
    pub fn remove(folder: &Path) {
        let _ = fs::remove_file(folder.join(FILE));
    }
}
