//! Tests of the front before a real service. The behaviour that it shares with Envoy is tested in `tests/parity`, where the
//! same requests go through both; these tests cover what is specific to the embedded front, or needs several requests.
#![cfg(test)]

mod docs;
mod edge;
mod fuzz;
mod hosts;
mod native;
mod robustness;
mod stalls;
mod streams;
mod test_env;
mod unread;
mod web;
