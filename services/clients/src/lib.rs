//! Profiles of clients.
