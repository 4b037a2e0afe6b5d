//! Clients that were not written here, against whole meshes.
#![cfg(test)]
