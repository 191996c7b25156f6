//! How many connections one address may have and open: a device that runs wild, or somebody who means harm, must not take the places
//! of all others. Counted by each node for itself.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use usher_domain::{Timestamp, service_limits::Rate};
use usher_throttle::{Keyed, origin};

/// Limits of one address, of IPv6 one /64: a client has all of that to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimits {
    /// Connections at a time.
    pub open: Option<u32>,
    /// New ones.
    pub new: Option<Rate>,
}

impl AddressLimits {
    /// None at all.
    pub const NONE: Self = Self { open: None, new: None };
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Of connections at a time.
    Open,
    /// Of new ones.
    New,
}

/// How often the log tells of one address.
const TOLD: Rate = Rate::of(1, 60);

/// The addresses that have connections.
pub struct Addresses {
    limits: AddressLimits,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// As many entries as there are connections at most, which the listeners bound.
    open: HashMap<IpAddr, u32>,
    new: Keyed,
    told: Keyed,
}

impl Addresses {
    pub fn new(limits: AddressLimits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// A place for one more connection.
    pub fn enter(self: &Arc<Self>, address: IpAddr, now: Timestamp) -> Result<Place, Refused> {
        if self.limits == AddressLimits::NONE {
            return Ok(Place(None));
        }
        let origin = origin(address);
        let mut counts = self.counts();
        let open = counts.open.get(&origin).copied().unwrap_or_default();
        if self.limits.open.is_some_and(|most| open >= most) {
            return Err(Refused::Open);
        }
        if self.limits.new.is_some_and(|rate| counts.new.take(&origin.to_string(), rate, now).is_err()) {
            return Err(Refused::New);
        }
        counts.open.insert(origin, open.saturating_add(1));
        Ok(Place(Some((Arc::clone(self), origin))))
    }

    /// Whether the log has been quiet about the address for a while.
    pub fn may_tell(&self, address: IpAddr, now: Timestamp) -> bool {
        self.counts().told.take(&origin(address).to_string(), TOLD, now).is_ok()
    }

    fn leave(&self, origin: IpAddr) {
        let mut counts = self.counts();
        match counts.open.get_mut(&origin) {
            Some(open) if *open > 1 => *open -= 1,
            _ => {
                counts.open.remove(&origin);
            }
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; given back when it is dropped.
pub struct Place(Option<(Arc<Addresses>, IpAddr)>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((addresses, origin)) = self.0.take() {
            addresses.leave(origin);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn addresses(open: Option<u32>, new: Option<Rate>) -> Arc<Addresses> {
        Arc::new(Addresses::new(AddressLimits { open, new }))
    }

    #[test]
    fn places_are_given_back_and_others_have_their_own() {
        let addresses = addresses(Some(2), None);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        let first = addresses.enter(one, NOW).unwrap();
        let _second = addresses.enter(one, NOW).unwrap();
        assert_eq!(addresses.enter(one, NOW).err(), Some(Refused::Open));
        let theirs = addresses.enter(other, NOW).unwrap();
        drop(first);
        let _third = addresses.enter(one, NOW).unwrap();
        drop(theirs);
        assert_eq!(addresses.counts().open.len(), 1, "an address without connections is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_mapped_address_is_itself() {
        let addresses = addresses(Some(1), None);
        let _place = addresses.enter(address("2001:db8::1"), NOW).unwrap();
        assert_eq!(addresses.enter(address("2001:db8::2"), NOW).err(), Some(Refused::Open));
        let _other = addresses.enter(address("2001:db8:0:1::1"), NOW).unwrap();
        let _plain = addresses.enter(address("10.0.0.1"), NOW).unwrap();
        assert_eq!(addresses.enter(address("::ffff:10.0.0.1"), NOW).err(), Some(Refused::Open));
    }

    #[test]
    fn new_ones_are_counted_also_when_they_are_gone() {
        let addresses = addresses(None, Some(Rate::of(3, 1)));
        let one = address("10.0.0.1");
        for _ in 0..3 {
            drop(addresses.enter(one, NOW).unwrap());
        }
        assert_eq!(addresses.enter(one, NOW).err(), Some(Refused::New));
        assert!(addresses.enter(one, NOW.plus_millis(400)).is_ok());
    }

    #[test]
    fn the_log_is_told_once_a_minute() {
        let addresses = addresses(Some(1), None);
        let one = address("10.0.0.1");
        assert!(addresses.may_tell(one, NOW) && !addresses.may_tell(one, NOW.plus_millis(59_000)));
        assert!(addresses.may_tell(address("10.0.0.2"), NOW) && addresses.may_tell(one, NOW.plus_millis(60_000)));
    }
}
