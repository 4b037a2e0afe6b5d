use std::fmt;
use std::pin::Pin;

use kernel::Result;

/// Overwrites deleted content in the files of a store that runs in this process.
pub trait Erasure: fmt::Debug + Send + Sync + 'static {
    /// Overwrites what was deleted before the call.
    ///
    /// # Errors
    /// UNAVAILABLE when the files can't be written.
    fn erase(&self) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;
}
