//! Settings of the front: command line flags and environment variables.

use std::net::SocketAddr;
use std::time::Duration;

use front_settings::{HostPattern, Hosts, NoHosts, Origin};
use kernel::setting;

/// Limits, hosts and CORS origins of the front.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "REST front")]
pub struct Config {
    /// Hosts that the front answers to, such as api.example.org or *.example.org, with a port where only that one counts.
    /// On loopback it also answers to localhost and its like; elsewhere only to these, and at least one is required.
    #[arg(long, env = "MESH_HOSTS", value_delimiter = ',')]
    pub hosts: Vec<HostPattern>,

    /// Origins whose pages may call, such as https://app.example.org, or http://localhost:* for every port of a host; *
    /// for any, none for no page. By default none; in the all-in-one on loopback http://localhost:* and
    /// http://127.0.0.1:*.
    #[arg(long, env = "MESH_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,

    /// The largest body of a request, in bytes.
    #[arg(long, env = "MESH_MAX_BODY", default_value_t = 1024 * 1024, value_parser = setting::count)]
    pub max_body: usize,

    /// Maximum concurrent requests of one source, and as many streams. A source is an IPv4 address or an IPv6 /64; a /56 may
    /// have twice as many, a /48 four times.
    #[arg(long, env = "MESH_MAX_REQUESTS_PER_SOURCE", default_value_t = 256, value_parser = setting::count)]
    pub max_requests_per_source: usize,

    /// Timeout of a request.
    #[arg(long, env = "MESH_REQUEST_TIMEOUT", default_value = "15s", value_parser = setting::duration)]
    pub request_timeout: Duration,

    /// Maximum duration of a stream; its reader then resumes from where it stopped.
    #[arg(long, env = "MESH_STREAM_TIMEOUT", default_value = "1h", value_parser = setting::duration)]
    pub stream_timeout: Duration,
}

impl Config {
    /// Returns the hosts that a front which listens there answers to.
    ///
    /// # Errors
    /// If that is not loopback and no host is listed.
    pub fn hosts_at(&self, listen: SocketAddr) -> Result<Hosts, NoHosts> {
        Hosts::of(listen.ip(), self.hosts.clone())
    }

    /// Lets pages of this machine call a front that listens on loopback, unless origins or `none` are listed.
    pub fn allow_pages_of_this_machine(&mut self, listen: SocketAddr) {
        if self.cors_origins.is_empty() && listen.ip().to_canonical().is_loopback() {
            self.cors_origins = Origin::of_this_machine();
        }
        self.cors_origins.retain(|origin| !origin.is_none());
    }
}

/// Name and address of a service, as `name=http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAddress {
    /// The domain: the second component of the proto package.
    pub name: String,
    /// The address.
    pub address: String,
}

impl std::str::FromStr for UpstreamAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as name=http://host:port, such as auth=http://127.0.0.1:50051";
        let (name, address) = text.split_once('=').ok_or(FORM)?;
        let plain = address.starts_with("http://") && address.len() > "http://".len();
        if name.is_empty() || !plain {
            return Err(FORM);
        }
        Ok(Self { name: name.to_owned(), address: address.to_owned() })
    }
}
