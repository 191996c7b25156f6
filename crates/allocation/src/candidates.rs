//! Which linked hubs come into question at all.

use usher_domain::{HubName, service::LinkedHub};

/// The hubs to choose from: those the enrollment names, in its order, else all linked hubs that take part in allocation.
///
/// Hubs that are not linked any more are left out, so that unlinking a hub drains it.
pub fn candidates<'a>(linked: &'a [LinkedHub], named: &[HubName]) -> Vec<&'a LinkedHub> {
    if named.is_empty() {
        return linked.iter().filter(|hub| hub.apply_allocation_policy).collect();
    }
    named.iter().filter_map(|name| linked.iter().find(|hub| hub.name == *name)).collect()
}
