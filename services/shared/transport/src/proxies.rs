use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;

/// The header in which proxies say where a request came from: each appends the address of its peer.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// The networks of the proxies whose `x-forwarded-for` is believed.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Proxies in these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Returns the address that a request came from: its peer, or, where the peer is a trusted proxy, the last address
    /// in `x-forwarded-for` that is not one. A value that is no address was not written by a proxy of ours, nor was
    /// what stands before it: the address found until then is the answer.
    #[must_use]
    pub fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if self.trusts(peer) { self.origin_behind(peer, headers) } else { peer }
    }

    /// As [`TrustedProxies::origin`], with a peer that is trusted whatever its address is.
    #[must_use]
    pub fn origin_behind(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        let mut origin = peer.to_canonical();
        for hop in hops.map_while(|hop| hop.trim().parse::<IpAddr>().ok()) {
            origin = hop.to_canonical();
            if !self.trusts(origin) {
                break;
            }
        }
        origin
    }

    /// Returns whether this address is one of a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies() -> TrustedProxies {
        TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn headers(forwarded: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        headers
    }

    fn origin(peer: &str, forwarded: &[&'static str]) -> String {
        proxies().origin(peer.parse().unwrap(), &headers(forwarded)).to_string()
    }

    #[test]
    fn only_trusted_proxy_sets_origin() {
        assert_eq!(origin("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(origin("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(origin("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(origin("10.0.0.1", &["203.0.113.9", "198.51.100.7,10.1.1.1"]), "198.51.100.7");
        assert_eq!(origin("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
        assert_eq!(origin("fd00::1", &["2001:db8::7"]), "2001:db8::7");
    }

    #[test]
    fn malformed_address_ends_search() {
        assert_eq!(origin("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(origin("10.0.0.1", &["\""]), "10.0.0.1");
    }

    #[test]
    fn front_with_token_is_trusted_at_any_address() {
        let origin = proxies().origin_behind("192.0.2.1".parse().unwrap(), &headers(&["198.51.100.7"]));
        assert_eq!(origin.to_string(), "198.51.100.7");
    }
}
