//! Search against what its callers may read: random worlds, races with revocations, the stored index and its erasure.

mod erasure;
pub(crate) mod hits;
mod oracle;
mod property;
mod races;
mod stored;
mod world;
