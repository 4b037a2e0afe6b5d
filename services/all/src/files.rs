//! Files that commands write.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use kernel::BoxError;

/// Creates a directory if it is missing.
///
/// # Errors
/// If it can't be created.
pub fn make(dir: &Path) -> Result<(), BoxError> {
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()).into())
}

/// Replaces a file atomically by one that only its owner may read.
///
/// # Errors
/// If it can't be written.
pub fn write_whole(file: &Path, text: &str) -> Result<(), BoxError> {
    let new = file.with_added_extension("new");
    let written = write_secret(&new, text).and_then(|()| std::fs::rename(&new, file));
    written.map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Writes a file that only its owner may read, also over one that others could.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())
}
