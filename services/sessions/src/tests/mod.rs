//! The rules of sessions, on both engines.
