//! Deterministic randomness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kernel::Entropy;

/// Splitmix64: the same bytes for the same seed.
#[derive(Debug, Default)]
pub struct SeededEntropy(Mutex<u64>);

impl SeededEntropy {
    /// Creates a generator with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }
}

/// Returns a generator with a seed of its own, so that racing clients don't back off in step.
#[must_use]
pub fn seeded() -> Arc<SeededEntropy> {
    static SEED: AtomicU64 = AtomicU64::new(0);
    Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::Relaxed)))
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            for (byte, random) in chunk.iter_mut().zip((z ^ (z >> 31)).to_le_bytes()) {
                *byte = random;
            }
        }
    }
}
