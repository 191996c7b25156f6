//! What Azure Resource Manager's clients say of any resource: kept and told again, without effect on devices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The resource group of services that were made without one, as by `usher dev`.
pub const DEFAULT_GROUP: &str = "usher";
/// The location of services that were made without one.
pub const DEFAULT_LOCATION: &str = "local";

/// A resource group that was made by itself (azure-rest-api-specs: ResourceGroup). Services name their group whether or not it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceGroup {
    /// Its name, as it was first spelled.
    pub name: String,
    /// Where it is said to be; never changes.
    pub location: String,
    /// The operator's own words about it.
    pub tags: BTreeMap<String, String>,
}

/// A managed resource's own description (azure-rest-api-specs: ProvisioningServiceDescription, without its properties).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceMetadata {
    /// Its resource group, as it was first spelled.
    pub group: String,
    /// Where it is said to be; never changes.
    pub location: String,
    /// The operator's own words about it.
    pub tags: BTreeMap<String, String>,
    /// Units of the tier S1. Nothing is limited by them here.
    pub capacity: u32,
    /// Whether data was asked to stay in the location. All data stays in the installation's own store, whatever is said.
    pub data_residency: bool,
}

impl Default for ResourceMetadata {
    fn default() -> Self {
        Self { group: DEFAULT_GROUP.into(), location: DEFAULT_LOCATION.into(), tags: BTreeMap::new(), capacity: 1, data_residency: false }
    }
}
