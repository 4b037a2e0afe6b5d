use std::net::SocketAddr;
use std::path::PathBuf;

use chassis::server;

/// The settings of the all-in-one.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Where the front listens: REST and gRPC on one port.
    #[arg(long, env = "MESH_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// The port of the first service on 127.0.0.1; the others follow. 0 for any that are free.
    #[arg(long, env = "MESH_SERVICES_PORT", default_value_t = 50051)]
    pub services_port: u16,

    /// Where the data is.
    #[command(flatten)]
    pub storage: Storage,

    /// Where DynamoDB is, if it is not the embedded one.
    #[command(flatten)]
    pub dynamodb: dynamo::Config,

    /// How every service serves.
    #[command(flatten)]
    pub server: server::Config,

    /// How the front serves.
    #[command(flatten)]
    pub front: gateway::Config,

    /// The settings of auth.
    #[command(flatten)]
    pub auth: auth::Config,

    /// How endings of accounts are recovered.
    #[command(flatten)]
    pub endings: account_deletion::Config,

    /// How long data keys are kept in memory.
    #[command(flatten)]
    pub keyring: keyring::Config,

    /// How accesses to journals are linked.
    #[command(flatten)]
    pub audit: audit::Config,

    /// How conversations are watched.
    #[command(flatten)]
    pub messages: messages::Config,
}

/// Where the data is.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Data")]
pub struct Storage {
    /// The directory of the embedded DynamoDB and of the secrets. It is made if it is not there.
    #[arg(long, env = "MESH_DATA_DIR", default_value = "therapy-data")]
    pub data_dir: PathBuf,

    /// Keep everything in memory: it is gone when the process ends.
    #[arg(long, env = "MESH_MEMORY", value_parser = clap::builder::BoolishValueParser::new())]
    pub memory: bool,

    /// The port of the embedded DynamoDB on 127.0.0.1; 0 for any that is free. Not used with MESH_DYNAMODB_ENDPOINT.
    #[arg(long, env = "MESH_DYNAMODB_PORT", default_value_t = 8000)]
    pub dynamodb_port: u16,

    /// The file with the secrets, one a line, the present one first; `secrets` in the data directory unless told, made
    /// at the first start.
    #[arg(long, env = "MESH_SECRETS_FILE")]
    pub secrets_file: Option<PathBuf>,

    /// The file with the key-encryption keys, one a line, the present one first; `key-encryption-keys` in the data directory
    /// unless told, made at the first start.
    #[arg(long, env = "MESH_KEY_ENCRYPTION_KEYS_FILE")]
    pub key_encryption_keys_file: Option<PathBuf>,
}
