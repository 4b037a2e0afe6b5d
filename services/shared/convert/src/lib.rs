//! Converts fields of the protos to types of the kernel and back.
//!
//! The error of a field is a sentence that follows its name. The caller adds the name, by [`kernel::Violations::check`]
//! or [`kernel::Error::invalid`].

pub mod batch;
pub mod count;
pub mod id;
pub mod millisecond;
pub mod page;
pub mod range;
pub mod time;
pub mod version;
