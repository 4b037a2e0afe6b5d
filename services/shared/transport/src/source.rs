use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Network that budgets count as one source: an IPv4 address, or an IPv6 prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceNetwork {
    address: IpAddr,
    prefix: u8,
}

/// Prefixes of an IPv4 source, each with the multiple of the budget that it has.
const STEPS_V4: &[(u8, u32)] = &[(32, 1)];
/// Prefixes of an IPv6 source: a subscriber has a /64 at least, and a /56 or a /48 where the provider is generous.
const STEPS_V6: &[(u8, u32)] = &[(64, 1), (56, 2), (48, 4)];

impl SourceNetwork {
    /// Narrowest network of a source: the IPv4 address, or the /64.
    #[must_use]
    pub fn of(source: IpAddr) -> Self {
        match source.to_canonical() {
            IpAddr::V4(address) => Self::v4(address, 32),
            IpAddr::V6(address) => Self::v6(address, 64),
        }
    }

    /// Networks that contain a source, from the narrowest to the widest, each with the multiple of a budget that all of
    /// it may spend. A caller with a whole prefix gets four budgets, not one for each /64 in it.
    pub fn steps(source: IpAddr) -> impl Iterator<Item = (Self, u32)> + Clone {
        let source = source.to_canonical();
        let steps = if source.is_ipv4() { STEPS_V4 } else { STEPS_V6 };
        steps.iter().map(move |&(prefix, multiple)| {
            let network = match source {
                IpAddr::V4(address) => Self::v4(address, prefix),
                IpAddr::V6(address) => Self::v6(address, prefix),
            };
            (network, multiple)
        })
    }

    /// Widest network of a source: the IPv4 address, or the /48. For mutexes, where sharing one costs little.
    #[must_use]
    pub fn widest(source: IpAddr) -> Self {
        Self::steps(source).last().map_or_else(|| Self::of(source), |(network, _)| network)
    }

    fn v4(address: Ipv4Addr, prefix: u8) -> Self {
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { address: Ipv4Addr::from_bits(address.to_bits() & mask).into(), prefix }
    }

    fn v6(address: Ipv6Addr, prefix: u8) -> Self {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
        Self { address: Ipv6Addr::from_bits(address.to_bits() & mask).into(), prefix }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(source: &str) -> Vec<(String, u32)> {
        let steps = SourceNetwork::steps(source.parse().unwrap());
        steps.map(|(network, multiple)| (network.to_string(), multiple)).collect()
    }

    #[test]
    fn ipv4_source_is_one_network() {
        assert_eq!(steps("192.0.2.1"), [("192.0.2.1".to_owned(), 1)]);
        assert_eq!(steps("::ffff:192.0.2.1"), steps("192.0.2.1"));
    }

    #[test]
    fn ipv6_source_has_networks_in_steps() {
        let expected = [("2001:db8:1:203::/64", 1), ("2001:db8:1:200::/56", 2), ("2001:db8:1::/48", 4)];
        assert_eq!(steps("2001:db8:1:203::7"), expected.map(|(network, multiple)| (network.to_owned(), multiple)));
    }

    #[test]
    fn narrowest_network_is_first_step() {
        for source in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1:203::7"] {
            let source = source.parse().unwrap();
            assert_eq!(SourceNetwork::steps(source).next(), Some((SourceNetwork::of(source), 1)));
        }
    }

    #[test]
    fn widest_network_is_last_step() {
        for source in ["192.0.2.1", "2001:db8:1:203::7"] {
            let source = source.parse().unwrap();
            assert_eq!(
                SourceNetwork::steps(source).last(),
                Some((SourceNetwork::widest(source), 4 - 3 * u32::from(source.is_ipv4())))
            );
        }
    }

    #[test]
    fn ipv6_subscriber_is_one_source() {
        let of = |text: &str| SourceNetwork::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
