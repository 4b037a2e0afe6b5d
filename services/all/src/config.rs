use std::net::SocketAddr;
use std::path::PathBuf;

use chassis::server;

/// The settings of the all-in-one.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Address of the front: REST and gRPC on one port.
    #[arg(long, env = "MESH_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Port of the first service on 127.0.0.1; the others follow. 0 for any free ports.
    #[arg(long, env = "MESH_SERVICES_PORT", default_value_t = proto::registry::AUTH.port)]
    pub services_port: u16,

    /// Settings of the storage.
    #[command(flatten)]
    pub storage: Storage,

    /// Settings of DynamoDB, if it is not the embedded one.
    #[command(flatten)]
    pub dynamodb: dynamo::Config,

    /// Settings of every service's server.
    #[command(flatten)]
    pub server: server::Config,

    /// Settings of the front.
    #[command(flatten)]
    pub front: gateway::Config,

    /// The settings of auth.
    #[command(flatten)]
    pub auth: auth::Config,

    /// Settings of the recovery of account deletions.
    #[command(flatten)]
    pub account_deletion: account_deletion::Config,

    /// Settings of the cache of data keys.
    #[command(flatten)]
    pub keyring: keyring::Config,

    /// Settings of the access log.
    #[command(flatten)]
    pub audit: audit::Config,

    /// Settings of watching conversations.
    #[command(flatten)]
    pub messages: messages::Config,
}

/// Settings of the storage.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Data")]
pub struct Storage {
    /// The directory of the embedded DynamoDB and of the secrets, created if missing.
    #[arg(long, env = "MESH_DATA_DIR", default_value = "therapy-data")]
    pub data_dir: PathBuf,

    /// Maximum size of the embedded DynamoDB's file in bytes, 4 MiB or more; by default the disk alone bounds it. Not used
    /// with MESH_MEMORY or MESH_DYNAMODB_ENDPOINT.
    #[arg(long, env = "MESH_DATA_LIMIT", value_parser = clap::value_parser!(u64).range(4 << 20..))]
    pub data_limit: Option<u64>,

    /// Keep everything in memory, lost when the process ends.
    #[arg(long, env = "MESH_MEMORY", value_parser = clap::builder::BoolishValueParser::new())]
    pub memory: bool,

    /// Port of the embedded DynamoDB on 127.0.0.1; 0 for any free port. Not used with MESH_DYNAMODB_ENDPOINT.
    #[arg(long, env = "MESH_DYNAMODB_PORT", default_value_t = 8000)]
    pub dynamodb_port: u16,

    /// The file with the secrets, one per line, the present one first; by default `secrets` in the data directory,
    /// created at the first start.
    #[arg(long, env = "MESH_SECRETS_FILE")]
    pub secrets_file: Option<PathBuf>,

    /// The file with the key-encryption keys, one per line, the present one first; by default `key-encryption-keys` in
    /// the data directory, created at the first start.
    #[arg(long, env = "MESH_KEY_ENCRYPTION_KEYS_FILE")]
    pub key_encryption_keys_file: Option<PathBuf>,
}
