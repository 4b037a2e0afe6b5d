//! Writes the OpenAPI document.

fn main() {}
