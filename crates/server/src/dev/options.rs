//! What `usher dev` is told, and what it does untold.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use usher_domain::{HubName, IdScope, service_limits::ServiceLimits};

use crate::{links::RemoteLink, oidc::OidcOptions};

/// What `usher dev` is told.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The state folder.
    pub state: PathBuf,
    /// Addresses to listen on.
    pub bind: Vec<IpAddr>,
    /// HTTPS port; the usual 443, else 8443, where `None`; any free one for 0.
    pub https_port: Option<u16>,
    /// MQTT port; 8883 where `None`.
    pub mqtts_port: Option<u16>,
    /// AMQP port; 5671 where `None`.
    pub amqps_port: Option<u16>,
    /// Hubs with their regions.
    pub hubs: Vec<(HubName, String)>,
    /// Remote hubs to link, with their regions.
    pub links: Vec<RemoteLink>,
    /// Root certificates that remote hubs may have besides the machine's, PEM.
    pub hub_trust: Vec<PathBuf>,
    /// The ID scope; generated where `None`.
    pub id_scope: Option<IdScope>,
    /// The service's name.
    pub name: String,
    /// PEM file of CAs that allocation webhooks may have their certificates from, beside the machine's roots.
    pub webhook_trust: Option<PathBuf>,
    /// A latency table for allocation by lowest latency.
    pub latency: Option<PathBuf>,
    /// Whose tokens open the management API besides the installation's own.
    pub oidc: Option<OidcOptions>,
    /// The limits of all services, from this start on.
    pub limits: ServiceLimits,
}

impl DevOptions {
    /// The defaults, with state in `state`.
    pub fn in_folder(state: PathBuf) -> Self {
        Self {
            state,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            https_port: None,
            mqtts_port: None,
            amqps_port: None,
            hubs: Vec::new(),
            links: Vec::new(),
            hub_trust: Vec::new(),
            id_scope: None,
            name: "dev".into(),
            webhook_trust: None,
            latency: None,
            oidc: None,
            // Throttling would only make tests slow; it is no part of what they test, unless they ask for it.
            limits: ServiceLimits::NONE,
        }
    }
}
