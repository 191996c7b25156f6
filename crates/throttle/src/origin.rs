//! Whom an address is counted as.

use std::net::{IpAddr, Ipv6Addr};

/// The address itself, of IPv6 its /64: a client has all of that to itself. An IPv4 address that is written as IPv6 is the IPv4 one.
pub fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}
