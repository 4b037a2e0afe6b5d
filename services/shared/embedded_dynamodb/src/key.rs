//! Creates, stores and compares the access key ID of an engine's callers.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use kernel::Entropy;

/// The key's file in the data directory.
const FILE: &str = "dynamodb-access-key";
const BYTES: usize = 32;

/// The access key ID of one start of an engine. Has no Debug.
#[derive(Clone)]
pub(crate) struct AccessKey(Arc<str>);

impl AccessKey {
    /// Generates a key of letters and digits.
    pub(crate) fn generate(entropy: &dyn Entropy) -> Self {
        let bytes = entropy.array::<BYTES>();
        let hex = bytes.iter().fold(String::with_capacity(2 * BYTES), |mut hex, byte| {
            // Writing to a String doesn't fail.
            let _ = write!(hex, "{byte:02X}");
            hex
        });
        Self(hex.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, shown: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), shown.as_bytes()).is_ok()
    }

    /// Replaces the key file of a data directory, readable by its owner alone.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let new = directory.join(FILE).with_added_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        writeln!(file, "{}", self.0)?;
        fs::rename(new, path(directory))
    }
}

/// Removes the key file of a data directory.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    fs::remove_file(path(directory))
}

/// Returns the access key ID of the engine that runs on this data directory; none if none runs.
///
/// # Errors
/// If the file can't be read or holds no key.
pub fn access_key(directory: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path(directory)) {
        Ok(text) => {
            let key = text.trim_end();
            let valid = key.len() == 2 * BYTES && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if valid { Ok(Some(key.to_owned())) } else { Err(io::Error::new(ErrorKind::InvalidData, "holds no key")) }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}
