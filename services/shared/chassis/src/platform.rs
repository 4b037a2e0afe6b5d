use std::sync::Arc;

use kernel::{Clock, Entropy, SystemClock};

use crate::Tasks;

/// Environment of a service: time, randomness, and an owner of its background tasks.
#[derive(Clone)]
pub struct Platform {
    /// Source of the time.
    pub clock: Arc<dyn Clock>,
    /// Source of random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The owner of background tasks.
    pub tasks: Tasks,
}

impl Platform {
    /// The machine's clock and its random number generator.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), tasks: Tasks::default() }
    }
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}

/// The operating system's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::expect_used, reason = "a machine without randomness can't keep a secret: nothing may go on")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random number generator works");
    }
}
