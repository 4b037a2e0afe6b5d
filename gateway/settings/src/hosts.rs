use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Hosts that a front answers to (RFC 9110, section 7.2). A page whose name is pointed at the front's address once it
/// is loaded (DNS rebinding) sends another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    listed: Vec<HostPattern>,
    is_loopback: bool,
}

impl Hosts {
    /// Returns the hosts of a front that listens on this address: the names of loopback, if it is loopback, and what is
    /// listed.
    ///
    /// # Errors
    /// If the address is not loopback and nothing is listed.
    pub fn of(listen: IpAddr, listed: Vec<HostPattern>) -> Result<Self, NoHosts> {
        let is_loopback = listen.to_canonical().is_loopback();
        if is_loopback || !listed.is_empty() { Ok(Self { listed, is_loopback }) } else { Err(NoHosts(listen)) }
    }

    /// Returns whether the value of `host`, or of `:authority`, is one of them.
    #[must_use]
    pub fn cover(&self, authority: &str) -> bool {
        let (name, digits) = split(authority);
        let name = name.strip_suffix('.').unwrap_or(name);
        let Ok(port) = port(digits) else { return false };
        self.is_loopback && is_loopback(name) || self.listed.iter().any(|listed| listed.covers(name, port))
    }

    /// Returns whether the names of loopback are among them.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }

    /// Returns what is listed.
    #[must_use]
    pub fn listed(&self) -> &[HostPattern] {
        &self.listed
    }
}

/// Error of a front that others can reach without a host that it answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHosts(IpAddr);

impl fmt::Display for NoHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0;
        write!(
            f,
            "a front on {address}, which is not loopback, answers to the hosts that it is told only, and it is told none: \
             set MESH_HOSTS (--hosts) to the names that it is called by, such as api.example.org"
        )
    }
}

impl std::error::Error for NoHosts {}

/// A name or an address in a list of hosts; `*.` before a name stands for every name below it. Where a port is listed
/// with it, only that port counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// In small letters and without a dot at its end; from its first dot on, if it is a wildcard.
    name: String,
    is_wildcard: bool,
    port: Option<u16>,
}

impl HostPattern {
    fn covers(&self, name: &str, port: Option<u16>) -> bool {
        let is_name = if self.is_wildcard { is_below(name, &self.name) } else { name.eq_ignore_ascii_case(&self.name) };
        is_name && self.port.is_none_or(|listed| port == Some(listed))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.is_wildcard { "*" } else { "" };
        write!(f, "{star}{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as a name or an address, with *. before the name for all below it, and with a port where \
                            only that one counts, such as api.example.org, *.example.org or 192.0.2.7:8443";
        let (name, digits) = split(text);
        let port = port(digits).map_err(|_| FORM)?;
        let is_wildcard = name.starts_with("*.");
        let name = name.strip_prefix('*').filter(|_| is_wildcard).unwrap_or(name);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = address.parse().map_err(|_| FORM)?;
            return Ok(Self { name: format!("[{address}]"), is_wildcard, port });
        }
        let labels = name.strip_prefix('.').filter(|_| is_wildcard).unwrap_or(&name);
        if labels.split('.').all(|label| !label.is_empty() && is_plain(label)) {
            Ok(Self { name, is_wildcard, port })
        } else {
            Err(FORM)
        }
    }
}

/// Splits a host from its port.
fn split(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (authority, ""),
    }
}

/// A port, which may be left out (RFC 3986, section 3.2.3).
fn port(digits: &str) -> Result<Option<u16>, ()> {
    match digits {
        "" => Ok(None),
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map(Some).map_err(drop),
        _ => Err(()),
    }
}

/// Returns whether a host is this machine to whoever resolves it (RFC 6761, section 6.3).
fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || is_below(name, ".localhost")
        || name == "[::1]"
        || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
}

/// Returns whether a name ends with another one, which begins with a dot, and has a label more.
fn is_below(name: &str, parent: &str) -> bool {
    let Some(own) = name.len().checked_sub(parent.len()).and_then(|length| name.get(..length)) else { return false };
    !own.is_empty() && is_plain(own) && name[own.len()..].eq_ignore_ascii_case(parent)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str, listed: &[&str]) -> Hosts {
        Hosts::of(listen.parse().unwrap(), listed.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
    }

    #[test]
    fn loopback_front_covers_names_of_loopback_with_any_port() {
        for listen in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            let hosts = hosts(listen, &[]);
            for good in [
                "localhost",
                "localhost:8080",
                "LocalHost.:8080",
                "mesh.localhost",
                "a.b.localhost:1",
                "127.0.0.1:8080",
                "127.255.0.7",
                "[::1]",
                "[::1]:8080",
                "localhost:",
            ] {
                assert!(hosts.cover(good), "{good}");
            }
            for foreign in [
                "",
                ":8080",
                "evil.example",
                "evil.example:8080",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "127.0.0.1:8080.evil.example",
                "127.0.0.1:80800",
                "127.0.0.1:+80",
                "127.1",
                "127.0.0.01",
                "127.0.0.256",
                "2130706433",
                "0.0.0.0",
                "128.0.0.1",
                "[::]",
                "[::2]:8080",
                "::1",
                ".localhost",
                "localhost..",
                "a/b.localhost",
                "user@localhost",
                "localhost localhost",
                "é.localhost",
            ] {
                assert!(!hosts.cover(foreign), "{foreign}");
            }
        }
    }

    #[test]
    fn public_front_covers_listed_hosts_alone() {
        let hosts = hosts(
            "0.0.0.0",
            &["API.example.org.", "*.clinic.example", "192.0.2.7:8443", "[2001:DB8:0::1]", "localhost"],
        );
        for good in [
            "api.example.org",
            "Api.Example.Org.:443",
            "a.clinic.example",
            "A.B.clinic.example.:8443",
            "192.0.2.7:8443",
            "[2001:db8::1]:8080",
            "localhost:8080",
        ] {
            assert!(hosts.cover(good), "{good}");
        }
        for foreign in [
            "example.org",
            "a.api.example.org",
            "clinic.example",
            ".clinic.example",
            "aclinic.example",
            "192.0.2.7",
            "192.0.2.7:443",
            "127.0.0.1",
            "a.localhost",
        ] {
            assert!(!hosts.cover(foreign), "{foreign}");
        }
    }

    #[test]
    fn public_front_without_hosts_is_refused() {
        for listen in ["0.0.0.0", "::", "192.0.2.7"] {
            let refused = Hosts::of(listen.parse().unwrap(), Vec::new()).unwrap_err().to_string();
            assert!(refused.contains(listen) && refused.contains("MESH_HOSTS"), "{refused}");
        }
    }

    #[test]
    fn pattern_is_name_or_address() {
        for (text, shown) in [
            ("api.example.org", "api.example.org"),
            ("API.Example.org.:8443", "api.example.org:8443"),
            ("*.Example.org", "*.example.org"),
            ("*.example.org:443", "*.example.org:443"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0::1]:80", "[::1]:80"),
            ("gateway", "gateway"),
        ] {
            assert_eq!(text.parse().map(|pattern: HostPattern| pattern.to_string()), Ok(shown.to_owned()));
        }
        for bad in [
            "",
            "*",
            "*.",
            "*example.org",
            "a.*.org",
            "*.*.org",
            ".example.org",
            "a..b",
            "https://a.example",
            "a.example/",
            "a b",
            "::1",
            "[::1",
            "*.[::1]",
            "a:99999",
            "a:b",
            "é.example",
        ] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }
}
