//! Where a device is, and how far each hub is from there.

use std::collections::HashMap;

use usher_domain::service::LinkedHub;

/// The figure for a hub in the device's own region where the table gives none, in milliseconds: nearer than any figure of another.
const SAME_REGION_MS: u32 = 1;

/// Milliseconds to a hub, by its host name, or to all hubs of a region, by that; names in lower case.
pub type Figures = HashMap<String, u32>;

/// What the table says of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The region it is in.
    pub region: Option<String>,
    /// Figures of its own, which come before its region's.
    pub figures: Figures,
}

impl Place {
    /// Milliseconds to the hub, where known: the place's own figure, its region's, or that of one and the same region. A hub's name comes
    /// before its region.
    pub fn ms_to(&self, hub: &LinkedHub, regions: &HashMap<String, Figures>) -> Option<u32> {
        let own = figure(&self.figures, hub);
        let Some(region) = &self.region else { return own };
        let here = || region.eq_ignore_ascii_case(&hub.region).then_some(SAME_REGION_MS);
        own.or_else(|| regions.get(region).and_then(|figures| figure(figures, hub))).or_else(here)
    }
}

fn figure(figures: &Figures, hub: &LinkedHub) -> Option<u32> {
    let by_name = figures.get(&hub.name.as_str().to_ascii_lowercase());
    by_name.or_else(|| figures.get(&hub.region.to_ascii_lowercase())).copied()
}
