//! The rules of mapping, on both engines.
