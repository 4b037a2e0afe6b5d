//! Writes the configuration of Envoy.

fn main() {}
