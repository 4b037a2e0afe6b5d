//! The database of an engine, in memory or in the files of a directory.
//!
//! Deleted content of files is overwritten: SQLite zeroes freed cells and pages, and [`Store::erase`] rewrites the file
//! and empties the write-ahead log. Dynoxide keeps its SQLite connection to itself. So the store has a second one, and
//! both share one cache: the setting is the cache's, and holds whatever flags SQLite was built with.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use dynoxide::{Database, DynoxideError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, ErrorCode};
use tokio::task::JoinError;

use crate::capacity::{Capacity, FULL_MESSAGE, is_full};
use crate::{DATABASE_FILE, StartError, Storage, operations};

const LOCK_FILE: &str = "lock";
/// Characters of a path that are percent-encoded in a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
/// `PRAGMA user_version` of a file without leftovers of versions that did not overwrite deleted content.
const OVERWRITTEN: i64 = 1;
/// Timeout of a checkpoint that waits for the transactions of a sweep.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(5);
const CHECKPOINT_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The files still hold what was deleted.
#[derive(Debug, thiserror::Error)]
#[error("deleted content can't be overwritten: {0}")]
pub struct EraseError(String);

impl EraseError {
    /// Returns whether there was no space to rewrite the file.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.ends_with(FULL_MESSAGE)
    }
}

/// An open database.
pub(crate) struct Store {
    database: Database,
    files: Option<Files>,
}

struct Files {
    connection: Mutex<Connection>,
    capacity: Capacity,
    /// Held shared by requests, and exclusively while the file is rewritten.
    access: RwLock<()>,
    /// Number of the last rewrite that has begun.
    begun: AtomicU64,
    /// Number of the last rewrite that has succeeded.
    done: AtomicU64,
    /// Released last: only then may another process open the file.
    _lock: File,
}

impl Store {
    /// Opens a database, and creates a missing one.
    pub(crate) fn open(storage: &Storage) -> Result<Self, StartError> {
        match storage {
            Storage::Memory => {
                let database = Database::memory();
                let database = database.map_err(|error| StartError::Open("memory".into(), error.to_string()))?;
                Ok(Self { database, files: None })
            }
            Storage::Directory { path: directory, limit } => {
                let lock = lock(directory)?;
                let file = directory.join(DATABASE_FILE);
                let failed = |error: String| StartError::Open(file.clone(), error);
                let path = file.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned()))?;
                let uri = format!("file:{}?cache=shared", utf8_percent_encode(path, PATH));
                let connection = open_with_secure_delete(&uri).map_err(|error| failed(error.to_string()))?;
                let database = Database::new(&uri).map_err(|error| failed(error.to_string()))?;
                let capacity = Capacity::bound(&connection, *limit, directory.clone());
                let files = Files {
                    connection: Mutex::new(connection),
                    capacity: capacity.map_err(|error| failed(error.to_string()))?,
                    access: RwLock::new(()),
                    begun: AtomicU64::new(0),
                    done: AtomicU64::new(0),
                    _lock: lock,
                };
                files.overwrite_old().map_err(|error| failed(error.to_string()))?;
                Ok(Self { database, files: Some(files) })
            }
        }
    }

    /// Runs an operation; none if there is no such operation.
    pub(crate) fn run(&self, operation: &str, body: &[u8]) -> Option<dynoxide::Result<String>> {
        let access = self.files.as_ref().map(|files| files.access.read().unwrap_or_else(PoisonError::into_inner));
        let answer = operations::run(&self.database, operation, body);
        drop(access);
        match (&answer, &self.files) {
            (Some(Err(error)), Some(files)) if is_full(error) => files.capacity.note_full(),
            (Some(Ok(_)), Some(files)) if operations::stores(operation) => files.capacity.note_written(),
            _ => {}
        }
        answer
    }

    /// Overwrites what was deleted before the call, in all files. Concurrent calls share one rewrite.
    pub(crate) fn erase(&self) -> Result<(), EraseError> {
        let Some(files) = &self.files else { return Ok(()) };
        files.rewrite().inspect_err(|error| {
            if error.is_full() {
                files.capacity.note_full();
            }
        })
    }

    /// Returns whether a write has failed for lack of space, and there has not been enough since. Waits for nothing.
    pub(crate) fn is_full(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.capacity.is_full())
    }

    /// Measures the space of a full storage, and returns whether it is still full. While the file is rewritten, or
    /// another call measures, it is what was known before.
    pub(crate) fn is_still_full(&self) -> bool {
        let Some(files) = &self.files else { return false };
        if let (Some(_requests), Some(connection)) = (free(files.access.try_read()), free(files.connection.try_lock()))
            && files.capacity.is_full()
        {
            files.capacity.measure(&connection);
        }
        files.capacity.is_full()
    }

    /// Deletes the expired items.
    pub(crate) fn sweep(&self) -> Result<(), EraseError> {
        let swept = self.database.sweep_ttl()?;
        match &self.files {
            Some(files) if swept > 0 => files.checkpoint(),
            _ => Ok(()),
        }
    }
}

impl Files {
    fn rewrite(&self) -> Result<(), EraseError> {
        let seen = self.begun.load(Ordering::SeqCst);
        let alone = self.access.write().unwrap_or_else(PoisonError::into_inner);
        if self.done.load(Ordering::SeqCst) > seen {
            return Ok(());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        // A page whose rows moved to another page keeps copies of them that no deletion finds.
        self.connection().execute_batch("VACUUM")?;
        self.checkpoint()?;
        self.done.store(number, Ordering::SeqCst);
        drop(alone);
        Ok(())
    }

    /// Overwrites what was deleted by a process that was killed, or by a version that didn't overwrite.
    fn overwrite_old(&self) -> Result<(), EraseError> {
        let version: i64 = self.connection().pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version < OVERWRITTEN {
            self.connection().execute_batch("VACUUM")?;
            self.connection().pragma_update(None, "user_version", OVERWRITTEN)?;
        }
        self.checkpoint()
    }

    /// Moves the write-ahead log into the database and empties it.
    fn checkpoint(&self) -> Result<(), EraseError> {
        let connection = self.connection();
        let started = Instant::now();
        loop {
            let busy = match connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseLocked) => true,
                answer => answer?,
            };
            if !busy {
                return Ok(());
            }
            if started.elapsed() > CHECKPOINT_TIMEOUT {
                return Err(EraseError("other transactions don't end".to_owned()));
            }
            thread::sleep(CHECKPOINT_POLL_INTERVAL);
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<rusqlite::Error> for EraseError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<DynoxideError> for EraseError {
    fn from(error: DynoxideError) -> Self {
        Self(error.to_string())
    }
}

impl From<JoinError> for EraseError {
    fn from(error: JoinError) -> Self {
        Self(error.to_string())
    }
}

/// Returns the guard of a lock that nobody holds.
fn free<G>(attempt: Result<G, TryLockError<G>>) -> Option<G> {
    match attempt {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Opens a connection to a shared cache that overwrites deleted content, and rewrites without a temporary file.
fn open_with_secure_delete(uri: &str) -> Result<Connection, EraseError> {
    let connection = Connection::open(uri)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let on: i64 = connection.query_row("PRAGMA secure_delete = ON", [], |row| row.get(0))?;
    if on == 1 { Ok(connection) } else { Err(EraseError("SQLite refuses secure_delete".to_owned())) }
}

/// Locks a directory for this process: two processes with the same file would each read stale caches.
fn lock(directory: &Path) -> Result<File, StartError> {
    let failed = |error| StartError::Directory(directory.to_owned(), error);
    // The file holds what people confide.
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StartError::InUse(directory.to_owned())),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rewrite of a large file takes longer than the timeout of a probe.
    #[test]
    fn space_is_known_while_file_is_rewritten() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Storage::Directory { path: directory.path().to_owned(), limit: None }).unwrap();
        let files = store.files.as_ref().unwrap();
        let (rewrite, connection) = (files.access.write().unwrap(), files.connection());
        assert!(!store.is_full());
        files.capacity.note_full();
        assert!(store.is_full() && store.is_still_full());
        drop(rewrite);
        assert!(store.is_still_full(), "a checkpoint holds the connection");
        drop(connection);
        assert!(!store.is_still_full() && !store.is_full());
    }
}
