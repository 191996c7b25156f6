//! Evenly weighted allocation by weighted rendezvous hashing.
//!
//! Each hub draws a lot for the device from a hash of both names, stretched by the hub's weight; the highest lot wins. So the same
//! device gets the same hub, shares follow the weights, and a hub that joins or leaves moves only its own share: the other lots stay
//! as they were. (Wang, Ravishankar 1998, with the logarithmic method for weights.)

use aws_lc_rs::digest;
use usher_domain::{HubName, RegistrationId, service::LinkedHub};

use crate::NoHub;

/// Chooses among hubs by weight. A hub of weight 0 takes none.
pub fn hashed(hubs: &[&LinkedHub], registration_id: &RegistrationId) -> Result<HubName, NoHub> {
    lots(hubs, registration_id)
        .into_iter()
        .max_by(|(hub_a, a), (hub_b, b)| a.total_cmp(b).then_with(|| hub_b.name.cmp(&hub_a.name)))
        .map(|(hub, _)| hub.name.clone())
        .ok_or_else(|| NoHub("no linked hub takes part in allocation: link one, or give one a weight above 0".into()))
}

/// The lot that each hub draws for the device; the highest wins. Hubs of weight 0 draw none.
pub fn lots<'a>(hubs: &[&'a LinkedHub], registration_id: &RegistrationId) -> Vec<(&'a LinkedHub, f64)> {
    let device = registration_id.folded();
    hubs.iter().filter(|hub| hub.weight > 0).map(|hub| (*hub, lot(hub, &device))).collect()
}

/// `-weight / ln(u)` with `u` uniform in (0, 1).
fn lot(hub: &LinkedHub, device: &str) -> f64 {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(hub.name.as_str().as_bytes());
    hash.update(&[0]);
    hash.update(device.as_bytes());
    let bits = hash.finish().as_ref().iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    // 53 bits fill a double's mantissa; the half keeps u off 0 and 1.
    let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -f64::from(hub.weight) / uniform.ln()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;
    use usher_domain::service::HubConnection;

    fn hubs(weights: &[u32]) -> Vec<LinkedHub> {
        let named = |(n, weight): (usize, &u32)| LinkedHub {
            name: HubName::parse(&format!("hub-{n}")).unwrap(),
            region: String::new(),
            weight: *weight,
            apply_allocation_policy: true,
            connection: HubConnection::Embedded,
        };
        weights.iter().enumerate().map(named).collect()
    }

    fn assign(hubs: &[LinkedHub], devices: usize) -> Vec<HubName> {
        let refs: Vec<&LinkedHub> = hubs.iter().collect();
        (0..devices).map(|n| hashed(&refs, &RegistrationId::parse(&format!("device-{n}")).unwrap()).unwrap()).collect()
    }

    #[test]
    fn shares_follow_the_weights() {
        let hubs = hubs(&[1, 2, 3, 4]);
        let mut counts: BTreeMap<HubName, u32> = BTreeMap::new();
        for hub in assign(&hubs, 20_000) {
            *counts.entry(hub).or_default() += 1;
        }
        for hub in &hubs {
            let expected = 20_000.0 * f64::from(hub.weight) / 10.0;
            let off = (f64::from(counts[&hub.name]) - expected).abs() / expected;
            assert!(off < 0.06, "{}: off by {off}", hub.name);
        }
    }

    #[test]
    fn a_new_hub_moves_only_its_own_share() {
        let before = hubs(&[1, 1, 1]);
        let after = hubs(&[1, 1, 1, 1]);
        let (old, new) = (assign(&before, 10_000), assign(&after, 10_000));
        let moved: Vec<_> = old.iter().zip(&new).filter(|(a, b)| a != b).collect();
        assert!(moved.iter().all(|(_, to)| to.as_str() == "hub-3"), "a device moved between old hubs");
        assert!((2_300..2_700).contains(&moved.len()), "moved {}", moved.len());
    }

    #[test]
    fn weight_zero_takes_none_and_case_does_not_matter() {
        let hubs = hubs(&[0, 5]);
        assert!(assign(&hubs, 1_000).iter().all(|hub| hub.as_str() == "hub-1"));
        let refs: Vec<&LinkedHub> = hubs.iter().collect();
        let upper = hashed(&refs, &RegistrationId::parse("DEV").unwrap());
        assert_eq!(upper, hashed(&refs, &RegistrationId::parse("dev").unwrap()));
        assert!(hashed(&[], &RegistrationId::parse("dev").unwrap()).is_err());
    }
}
