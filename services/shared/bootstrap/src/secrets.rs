use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dynamo::secret::{Secret, Secrets};
use kernel::{BoxError, Entropy};

/// Location of the secrets.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct SecretsConfig {
    /// The file with the secrets: one a line, 32 random bytes in base64 (`openssl rand -base64 32`). The first seals
    /// and signs; the others are its predecessors, which still open and verify.
    #[arg(long, env = "MESH_SECRETS_FILE")]
    pub secrets_file: PathBuf,
}

/// Reads the secrets of a file.
///
/// # Errors
/// If the file can't be read, holds none, or a line of it is not a secret.
pub fn read_secrets(path: &Path) -> Result<Secrets, BoxError> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(at, line): (usize, &str)| {
        line.parse::<Secret>().map_err(|error| format!("{}: line {}: {error}", path.display(), at + 1))
    };
    let mut secrets = lines.map(parse).collect::<Result<Vec<_>, _>>()?.into_iter();
    let current = secrets.next().ok_or_else(|| format!("{}: holds no secret", path.display()))?;
    Ok(Secrets::new(current, secrets.collect()))
}

/// Reads the secrets of a file. A missing file is created with a new secret, readable by its owner only.
///
/// # Errors
/// As [`read_secrets`]; also if the file can't be written.
pub fn make_secrets(path: &Path, entropy: &dyn Entropy) -> Result<Secrets, BoxError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let secret = format!("{}\n", STANDARD.encode(entropy.array::<32>()));
            if let Err(error) = file.write_all(secret.as_bytes()).and_then(|()| file.sync_all()) {
                // A part of a secret would be refused at the next start.
                let _ = std::fs::remove_file(path);
                return Err(format!("{}: {error}", path.display()).into());
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("{}: {error}", path.display()).into()),
    }
    read_secrets(path)
}
