//! Identifies the caller by verified tokens and nothing else.
//!
//! People bring an access token of auth (RFC 9068), services a workload token of the cluster (or of the issuer that
//! stands in for it). Both are verified by every service, also behind a front that has verified them already.

#[cfg(test)]
mod fuzz;
mod keys;
mod person;
mod stage;
mod workload;

pub use keys::{KeySet, Keys, KeysRefresher};
pub use person::{ACCESS_TOKEN_TYPE, AccessClaims, AccessTokens, Verified};
pub(crate) use person::{expired, invalid};
pub(crate) use stage::IdentityStage;
pub use workload::{Issuer, Workload, WorkloadConfig, WorkloadTokens, WorkloadVerifier};

use ipnet::IpNet;

/// Settings of token verification, the same for every service of one mesh.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Identity")]
pub struct Config {
    /// The issuer (`iss`) of access tokens.
    #[arg(long, env = "MESH_TOKEN_ISSUER", default_value = "therapy-mesh")]
    pub token_issuer: String,

    /// The audience (`aud`) of access tokens.
    #[arg(long, env = "MESH_TOKEN_AUDIENCE", default_value = "therapy-mesh-api")]
    pub token_audience: String,

    /// Networks whose `x-forwarded-for` is believed, such as 10.0.0.0/8. The embedded gateway needs no entry: it shows
    /// its own token.
    #[arg(long, env = "MESH_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
}
