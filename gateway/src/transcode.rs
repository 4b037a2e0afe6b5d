//! JSON to protobuf and back, from one byte sequence straight to the other.
//!
//! The mapping is that of proto3 (<https://protobuf.dev/programming-guides/json/>), with the choices that Envoy's
//! transcoder is configured for: unknown members are ignored, fields without presence are always printed, and a member
//! that is given twice is appended twice, so that by the rules of the wire the last scalar wins, lists grow and messages
//! merge.
//!
//! Not by prost-reflect, which builds a tree of every message in between.

mod parse;
mod print;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use parse::{BadField, BadFields, EXCLUDED, MAX_NAMED, parse_field, parse_message};
pub(crate) use print::Printer;
pub(crate) use scalar::{put_text, wire_type};
