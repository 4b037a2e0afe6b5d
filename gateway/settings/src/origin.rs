use std::fmt;
use std::str::FromStr;

/// An origin whose pages may call, as browsers write it in the header `origin` (RFC 6454, section 6.1): a scheme, a
/// host, and a port where it isn't the scheme's own. The port `*` is any, and `*` alone is any origin; `none` is no origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text of no origin.
const NONE: &str = "none";
/// The port of an origin that is any.
const ANY_PORT: &str = ":*";

impl Origin {
    /// Returns the origins of pages that a program on this machine serves, over plain HTTP.
    #[must_use]
    pub fn of_this_machine() -> Vec<Self> {
        ["http://localhost", "http://127.0.0.1"].map(|host| Self(format!("{host}{ANY_PORT}"))).into()
    }

    /// Returns whether it is no origin.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0 == NONE
    }

    /// Returns whether a page of `origin`, by the word of the browser, may call.
    #[must_use]
    pub fn covers(&self, origin: &[u8]) -> bool {
        match self.0.strip_suffix(ANY_PORT) {
            Some(host) => origin.strip_prefix(host.as_bytes()).is_some_and(is_port),
            None => self.0 == "*" || !self.is_none() && self.0.as_bytes() == origin,
        }
    }
}

/// Returns whether the end of an origin is a port, or nothing, which is the port of the scheme.
fn is_port(end: &[u8]) -> bool {
    match end {
        [] => true,
        [b':', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    /// # Errors
    /// If no browser would ever write it so: with a path or a slash at its end, with capitals, without a scheme, or
    /// with the port that the scheme has anyway.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as scheme://host, or scheme://host:port where the port is not the scheme's own, in small \
                            letters and with no slash at its end, such as https://app.example.org; with :* for any port; or * for any \
                            origin, or none for no origin";
        if text == "*" || text == NONE {
            return Ok(Self(text.to_owned()));
        }
        let is_of = |allowed: &[u8], part: &str| {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || allowed.contains(&byte);
            !part.is_empty() && part.bytes().all(fits)
        };
        let (scheme, rest) = text.split_once("://").ok_or(FORM)?;
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let is_address = host.starts_with('[') && host.ends_with(']') && is_of(b"[]:.", host);
        let is_host = is_of(b"-._", host) || is_address;
        let is_port = port.is_none_or(|port| {
            if port == "*" {
                return true;
            }
            let is_number = port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
            is_number && !matches!((scheme, port), ("http", "80") | ("https", "443"))
        });
        if is_of(b"+-.", scheme) && is_host && is_port { Ok(Self(text.to_owned())) } else { Err(FORM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_as_browsers_write_it() {
        for good in [
            "*",
            "none",
            "https://app.example.org",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "app://localhost",
            "http://a.example:443",
            "http://localhost:*",
            "http://[::1]:*",
        ] {
            assert_eq!(good.parse::<Origin>().map(|origin| origin.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "app.example.org",
            "https://",
            "https://app.example.org/",
            "https://app.example.org/page",
            "https://App.example.org",
            "https://app.example.org:",
            "https://app.example.org:99999",
            "https://app.example.org:443",
            "http://app.example.org:80",
            "https://app.example.org:+8443",
            "https://app.example.org:08443",
            "https://a b",
            "https://*.example.org",
            "https://*",
            "http://localhost:*80",
            "http://localhost:**",
            "http://::1",
            "null",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn origin_covers_itself_and_wildcard_covers_all() {
        let [own, any] = ["https://a.example", "*"].map(|text| text.parse::<Origin>().unwrap());
        assert!(own.covers(b"https://a.example") && !own.covers(b"https://a.example.org") && !own.covers(b"*"));
        assert!(any.covers(b"https://a.example"));
        let none: Origin = "none".parse().unwrap();
        assert!(none.is_none() && !any.is_none() && !none.covers(b"none") && !none.covers(b"https://a.example"));
    }

    #[test]
    fn any_port_covers_ports_of_one_host() {
        let origins = Origin::of_this_machine();
        let covered = |origin: &str| origins.iter().any(|allowed| allowed.covers(origin.as_bytes()));
        for own in ["http://localhost:3000", "http://localhost", "http://127.0.0.1:65535", "http://127.0.0.1"] {
            assert!(covered(own), "{own}");
        }
        for foreign in [
            "https://localhost:3000",
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost:",
            "http://localhost:*",
            "http://127.0.0.12",
            "http://127.0.0.1:80/",
            "http://evil.example:3000",
            "null",
        ] {
            assert!(!covered(foreign), "{foreign}");
        }
        assert!(origins.iter().all(|origin| origin.to_string().parse() == Ok(origin.clone())));
    }
}
