use std::path::PathBuf;

/// Settings of vault.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Keys")]
pub struct Config {
    /// File with the key-encryption keys: one a line, 32 random bytes in base64 (`openssl rand -base64 32`). The first
    /// wraps; the others still unwrap what they wrapped.
    #[arg(long, env = "MESH_KEY_ENCRYPTION_KEYS_FILE")]
    pub key_encryption_keys_file: PathBuf,
}
