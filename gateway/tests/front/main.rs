//! The front before a real service. What it shares with Envoy is tested in `tests/parity`, where the same requests go
//! through both; here is what only the embedded front promises, and what needs more than one request to see.
#![cfg(test)]

mod docs;
mod edge;
mod fuzz;
mod hosts;
mod native;
mod robustness;
mod stalls;
mod stand;
mod streams;
mod unread;
mod web;
