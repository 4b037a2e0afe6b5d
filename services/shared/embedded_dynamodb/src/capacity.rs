//! Notices that the storage is full, and that there is space again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use dynoxide::DynoxideError;
use kernel::BoxError;
use rusqlite::{Connection, ErrorCode};

/// Free bytes that end the state of a full storage, so that it doesn't flap.
const ENOUGH: u64 = 256 * 1024;
/// SQLite's message of `SQLITE_FULL`, which is all that dynoxide passes on.
pub(crate) const FULL_MESSAGE: &str = "database or disk is full";

/// Space of a database: up to its limit, and on the disk of its directory.
pub(crate) struct Capacity {
    directory: PathBuf,
    /// True from a write that fails for lack of space until there is enough again.
    full: AtomicBool,
    /// True from the line in the log that says that the storage is full until a write succeeds. Space for a small write
    /// isn't space for each: so not each refused one has a line.
    reported: AtomicBool,
}

impl Capacity {
    /// Bounds the size of a database's file.
    pub(crate) fn bound(connection: &Connection, limit: Option<u64>, directory: PathBuf) -> rusqlite::Result<Self> {
        if let Some(limit) = limit {
            let size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
            let pages = i64::try_from(limit).unwrap_or(i64::MAX) / size;
            connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
        }
        Ok(Self { directory, full: AtomicBool::new(false), reported: AtomicBool::new(false) })
    }

    /// Notes that a write failed for lack of space.
    pub(crate) fn note_full(&self) {
        self.full.store(true, Ordering::Relaxed);
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::error!(
                "the storage is full: the disk, or MESH_DATA_LIMIT if it is set; nothing more can be stored"
            );
        }
    }

    /// Notes that a write succeeded.
    pub(crate) fn note_written(&self) {
        if self.reported.load(Ordering::Relaxed) && !self.is_full() && self.reported.swap(false, Ordering::Relaxed) {
            tracing::info!("the storage has space again");
        }
    }

    /// Returns whether a write has failed for lack of space, and there has not been enough since.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Measures the space of a full storage.
    pub(crate) fn measure(&self, connection: &Connection) {
        match self.free(connection) {
            Ok(free) if free >= ENOUGH => self.full.store(false, Ordering::Relaxed),
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "free space can't be measured"),
        }
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
    if let DynoxideError::SqliteError(error) = error {
        return error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    }
    matches!(error, DynoxideError::InternalServerError(message) if message.ends_with(FULL_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity() -> (Capacity, Connection) {
        let connection = Connection::open_in_memory().unwrap();
        (Capacity::bound(&connection, None, std::env::temp_dir()).unwrap(), connection)
    }

    #[test]
    fn full_storage_is_reported_until_a_write_succeeds() {
        let (capacity, connection) = capacity();
        assert!(!capacity.is_full());
        for _ in 0..2 {
            capacity.note_full();
            assert!(capacity.is_full() && capacity.reported.load(Ordering::Relaxed));
            // A small write that finds a page.
            capacity.note_written();
            assert!(capacity.is_full() && capacity.reported.load(Ordering::Relaxed));
            capacity.measure(&connection);
            assert!(!capacity.is_full() && capacity.reported.load(Ordering::Relaxed), "nothing was written yet");
        }
        capacity.note_written();
        assert!(!capacity.reported.load(Ordering::Relaxed));
    }
}
