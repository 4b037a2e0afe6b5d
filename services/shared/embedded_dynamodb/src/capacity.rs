//! Notices that the storage is full, and that there is space again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use dynoxide::DynoxideError;
use kernel::BoxError;
use rusqlite::{Connection, ErrorCode};

/// Free bytes that end the state of a full storage, so that it doesn't flap.
const ENOUGH: u64 = 256 * 1024;
/// SQLite's message of `SQLITE_FULL`, which is all that dynoxide passes on.
pub(crate) const FULL: &str = "database or disk is full";

/// Space of a database: up to its limit, and on the disk of its directory.
pub(crate) struct Capacity {
    directory: PathBuf,
    /// Whether a write has failed for lack of space, and there has not been enough since.
    full: AtomicBool,
}

impl Capacity {
    /// Bounds the size of a database's file.
    pub(crate) fn bound(connection: &Connection, limit: Option<u64>, directory: PathBuf) -> rusqlite::Result<Self> {
        if let Some(limit) = limit {
            let size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = i64::try_from(limit).unwrap_or(i64::MAX) / size;
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        Ok(Self { directory, full: AtomicBool::new(false) })
    }

    /// Notes that a write failed for lack of space.
    pub(crate) fn note_full(&self) {
        if !self.full.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the storage is full: the disk, or MESH_DATA_LIMIT if it is set; nothing more can be stored"
            );
        }
    }

    /// Returns whether there is space, as far as is known: it is measured only after a write has failed.
    pub(crate) fn has_space(&self, connection: &Connection) -> bool {
        if !self.full.load(Ordering::Relaxed) {
            return true;
        }
        let has_enough =
            self.free(connection).inspect_err(|error| tracing::warn!(%error, "free space can't be measured"));
        let has_enough = has_enough.is_ok_and(|free| free >= ENOUGH);
        if has_enough && self.full.swap(false, Ordering::Relaxed) {
            tracing::info!("the storage has space again");
        }
        has_enough
    }

    /// Returns the free bytes: those up to the limit, or those on the disk if they are fewer.
    fn free(&self, connection: &Connection) -> Result<u64, BoxError> {
        let value = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let pages = value("max_page_count")? - value("page_count")? + value("freelist_count")?;
        let disk = rustix::fs::statvfs(&self.directory)?;
        let below_limit = u64::try_from(pages.saturating_mul(value("page_size")?))?;
        Ok(below_limit.min(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
}

/// Returns whether a request failed for lack of space.
pub(crate) fn is_full(error: &DynoxideError) -> bool {
    match error {
        DynoxideError::SqliteError(error) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
        other => other.to_string().ends_with(FULL),
    }
}
